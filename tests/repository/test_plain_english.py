"""The text of the tree is plain technical English: phrases that native readers stumble over are listed and rejected.

Checked are all tracked text files: code with its identifiers, comments and messages, and the documents. An underscore
counts as a space, so that a phrase is also found inside an identifier.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

RATE_OF = (
    r"(?:seconds?|ms|mm|cm|[kKMG]i?B|bytes|minutes?|hours?|lines?|files?|jobs|requests?|voxels|points|samples|rows)"
)
RATE_PER = (
    r"(?:second|minute|hour|day|step|page|file|job|scan|knee|slice|process|voxel|map|record|request|model|visit|network"
    r"|joint|structure|region|bone|echo|point|worker|address|client|user|wave|femur|round|repetition|case|series|side)"
)

PLAIN = {
    # uncertain or missing things
    r"(?:is|are|was|were) not there": "is missing, does not exist",
    r"that (?:is|are|was|were) there": "existing, present",
    r"in vain": "without success; timed out",
    r"for nothing": "unnecessarily",
    r"leaves? nothing behind": "leaves no files, cleans up",
    r"of one'?s own": "own, custom",
    r"of (?:its|their|his|her) own": "own, separate",
    r"a lab'?s own": "custom",
    r"strangers?": "untrusted, another user",
    r"(?<!synthetic knee, )nobody'?s": "synthetic, unowned",  # the exception is the header of the sample file
    r"that nobody has": "synthetic",
    r"who has it": "the holder",
    r"could be meant": "is usable; choose one",
    r"at another server'?s door": "invalid on other servers",
    r"(?<![`\"])just now": "currently, recently",  # as an age, "just now" is right
    # speech, will and life of things
    r"(?:users?|user's|its|their|last) word": "confirmation, statement",
    r"wait(?:s|ing|ed)? for (?:its|their|a) user": "await confirmation",
    r"says? so": "reports it, states it",
    r"(?:is|are|was|were|be|been) said": "is stated, documented",
    r"told": "informed, reported, distinguished",
    r"tells? \w+ apart": "distinguishes",
    r"tells? (?:it|one|a|an|the)(?: \w+)? from": "distinguishes",
    r"by heart": "memorised",
    r"speaks? to": "accesses, connects to",
    r"knows? nothing (?:of|above|about)": "does not depend on",
    r"knows? no (?!longer)": "does not depend on",
    r"wants (?:it|them|to|a|the)": "needs, requires",
    r"as \w+ wants? (?:it|them|to)": "as required by",
    r"shall": "must",
    r"lest": "so that ... not",
    r"nine times in ten": "with probability 0.9",
    r"are well": "OK",
    r"(?:all|everything) is well": "OK",
    r"it is well": "OK",
    # places and motion for states
    r"takes? home": "outputs",
    r"took home": "outputs",
    r"goes before": "takes precedence over",
    r"go before": "take precedence over",
    r"in the place of": "instead of, at the position of",
    r"in (?:its|their) place": "instead",
    r"lies? beside": "is stored with, is next to",
    r"lay beside": "is stored with, was next to",
    r"lies? in the (?:folder|queue|record|archive|directory|data directory|environment|store)": "is in, is stored in",
    r"stands? (?:in|on|beside|above|below|behind|there|before|at|first|last|alone|between)": "is in, appears in",
    r"stood (?:in|on|beside|above|below|behind|there|before|at|still)": "was in",
    r"as (?:it|they) stands?": "unchanged, current",
    r"goes on": "continues, resumes, extends",
    r"go on": "continue, resume, extend",
    r"went on": "continued, resumed",
    r"going on": "continuing, in progress",
    r"on (?:its|their) way": "in progress, being sent",
    r"how far (?:it|a job|an analysis|a run|an upload) (?:came|is|got|has come)": "completed steps, progress",
    r"comes? to lie": "is placed",
    r"laid (?:down|on|upon|over|onto)": "aligned to, placed on",
    r"put away": "stored",
    r"given up": "released, abandoned",
    r"gives? up": "releases, stops",
    r"tak(?:e|es|ing|en) up again": "resume",
    r"taken up": "resumed, used",
    r"let in": "accepted, admitted",
    r"at hand": "available",
    r"to hand": "available",
    r"gives? way": "is replaced",
    r"time is over": "time has elapsed",
    r"minutes are over": "time has elapsed",
    r"in small steps": "quantised, in 8 bit",
    r"at (?:its|their) end": "at the end",
    # making and repairing
    r"anew": "again, over",
    r"made again": "regenerated",
    r"made ready": "prepared",
    r"in the making": "being built",
    r"by hand": "manually",
    r"mend(?:s|ed|ing)?": "repair, fix",
    r"spoil(?:s|t)?": "degrade",
    r"once more": "again",
    r"again and again": "repeatedly",
    r"here and there": "in places, locally",
    r"for good": "permanently",
    r"lets? go of": "releases",
    r"outgrown": "exceeded",
    r"drawer for everything": "catch-all module",
    # images and training
    r"rim too many": "spurious thin rim",
    r"another hand(?:'s)?": "second renderer",
    r"imagin(?:e|es|ed|ing)": "synthetic, generate",
    r"painters?": "renderer",
    r"painted (?:scan|joint|image|on|by)": "rendered",
    r"photographed": "imaged",
    r"calm": "regularisation",
    r"repainted": "changed, redrawn",
    # quantities
    rf"{RATE_OF} an? {RATE_PER}": "per (seconds per step)",
    rf"one (?:\w+ )?an? {RATE_PER}": "one per",
    r"so many": "N, a given number",
    r"as many as": "up to, the number that",
    r"or so": "about",
    r"what (?:it|they|that) (?:is|are) worth": "its value",
    r"worth a second look": "should be reviewed",
    r"nothing more than": "only",
    r"otherwise than": "differently from",
    r"former(?:ly)?": "previous",
    r"by (?:its|their) names?": "by name",
    r"thicker and thicker": "increasingly thick",
    r"any more": "no longer",
    r"whatever else": "other",
    r"anybody'?s": "any",
    r"everybody'?s": "shared",
}
"""Phrase (a regular expression, whole words, any case) -> what to write instead."""

PATTERNS = {re.compile(rf"(?<![A-Za-z]){phrase}(?![A-Za-z])", re.IGNORECASE): plain for phrase, plain in PLAIN.items()}
ANY = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(PLAIN)})(?![A-Za-z])", re.IGNORECASE)
"""Finds a line with any of them. The phrases share one test of the character before: that is five times as fast."""

NOT_OURS = (
    "ui/assets/vendor/",
    "tests/support/vendor/",
    "LICENSE",
    "CITATION.cff",
    "requirements.lock",
    "package-lock.json",
)
"""Text of others, and generated lists."""
THIS = Path(__file__).resolve().relative_to(ROOT).as_posix()
CITED = re.compile(r'"(?:citation|licence|license|url|doi)"\s*:|https?://\S+')
"""Lines of others inside our files: titles of papers and addresses."""


def findings(text: str) -> Iterator[tuple[int, str, str]]:
    """(line number, phrase as found, what to write instead)."""
    for number, line in enumerate(text.replace("_", " ").splitlines(), start=1):
        if ANY.search(line) is None or CITED.search(line):
            continue
        for pattern, plain in PATTERNS.items():
            for match in pattern.finditer(line):
                yield number, match.group(0), plain


def tracked_texts() -> Iterator[tuple[str, str]]:
    """(path, content) of every tracked text file of ours."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if name == THIS or name.startswith(NOT_OURS) or not (ROOT / name).is_file():
            continue
        try:
            yield name, (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:  # a picture, an image or weights
            continue


@pytest.mark.slow
def test_the_tree_is_written_in_plain_english() -> None:
    found = [
        f"{name}:{number}: {phrase!r}; write: {plain}"
        for name, text in tracked_texts()
        for number, phrase, plain in findings(text)
    ]
    assert not found, f"{len(found)} phrases\n" + "\n".join(found)


def test_the_list_covers_at_least_sixty_phrases() -> None:
    assert len(PLAIN) >= 60


@pytest.mark.parametrize(
    ("line", "phrase"),
    [
        ("# A rim too many of thin cartilage", "rim too many"),
        ("def painted_scan(knee):", "painted scan"),
        ('"0.4 seconds a step"', "seconds a step"),
        ("the client is waited for In Vain", "In Vain"),
        ("_by_hand = 1", "by hand"),
    ],
)
def test_a_phrase_is_found_in_comments_identifiers_and_messages(line: str, phrase: str) -> None:
    assert phrase in [match for _, match, _ in findings(f"\n{line}\n")]


@pytest.mark.parametrize(
    "line", ["seconds per step", "a recommended value", "a landmark", "painting", "the waist", "total dose"]
)
def test_plain_text_is_accepted(line: str) -> None:
    assert not list(findings(line))
