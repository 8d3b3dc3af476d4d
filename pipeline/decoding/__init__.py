"""Reads a user's files in a confined child process, which hands over plain arrays and facts.

process.py starts child.py, which enters the sandbox and reads with pipeline.image_io; handover.py takes what it wrote.
"""
