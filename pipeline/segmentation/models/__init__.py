"""One module per kind of segmentation model.

Each has `find(resources)`, which returns its models (segmenter.Segmenter); registry.py imports every module here. A
module must not import an inference runtime, or scipy, before `segment` or `provenance` is called: web processes read
the models' cards. A new built-in model is one module here and one card.json in a folder of models/.
"""
