"""A scan detects passphrases in the source of a notebook, because it knows which functions take a
passphrase.
"""

from __future__ import annotations

import inspect

import nbformat
import pytest

import lyncnb as ln
from lyncnb.jupyter.leak_scan import scan_notebook
from lyncnb.pki.passphrase import Secret

WRITTEN = {
    "a secret": ['ln.Secret("correct horse battery")'],
    "requests": ['ln.write_requests(plan, "r", "correct horse battery")'],
    "both of a change": ['ln.rekey("r", "correct horse battery", ln.ask_passphrase())'],
    "by name": ["ln.rekey('r', old='correct horse battery', new=ask())"],
    "a variable": ['words = "correct horse battery"', 'ln.rekey("r", words, ask())'],
    "a variable with its type": ['words: str = "correct horse battery"\nSecret(words)'],
    "beside a magic": ['%time\nln.Secret("correct horse battery")'],
    "formatted": ['ln.Secret(f"correct horse {battery}")'],
    "joined": ['ln.Secret("correct horse" + " battery")'],
    "a copied variable": ['y = "correct horse battery"', "passphrase = y"],
    "a copy of a copy": ['y = "correct horse battery"\nz = y', "ln.Secret(z)"],
    "a copied argument": ['y = "correct horse battery"', "connect(password=y)"],
    "in an expression": ['ln.Secret((words := "correct horse battery"))\nln.Secret(words)'],
}
PUBLIC = {
    "asked": ["ln.write_requests(plan, 'r', passphrase=ln.ask_passphrase())"],
    "a folder": ['folder = "requests"\nln.rekey(folder, ask(), ask())'],
    "another function": ['print(1, "correct horse battery")'],
    "blank": ['ln.Secret("")'],
    "a copy of another variable": ['y = "requests"\nfolder = y\nln.rekey(folder, ask(), ask())'],
    "no Python": ["this is ( no Python"],
}


def scan(sources):
    """Return the numbers of the cells that the scan reports in a notebook of the given cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    problems = scan_notebook(nbformat.v4.new_notebook(cells=cells), name="n.ipynb")
    assert all("the code contains a passphrase" in problem.message for problem in problems)
    assert not any("battery" in str(problem) for problem in problems)
    return [problem.file for problem in problems]


@pytest.mark.parametrize("sources", WRITTEN.values(), ids=WRITTEN)
def test_a_passphrase_in_the_source_is_reported(sources):
    """The scan reports each passphrase in the source once, with the number of its cell."""
    assert scan(sources) == ["n.ipynb cell 1"]


@pytest.mark.parametrize("sources", PUBLIC.values(), ids=PUBLIC)
def test_other_texts_are_not_reported(sources):
    """The scan for secrets ignores arguments that are not secrets, and code that is not valid
    Python.
    """
    assert scan(sources) == []


def list_secret_parameters():
    """Yield each public function that accepts a secret, with the name and position of the
    parameter.
    """
    for name in ln.__all__:
        value = getattr(ln, name)
        if inspect.isfunction(value):
            for position, parameter in enumerate(inspect.signature(value).parameters.values()):
                if str(parameter.annotation).startswith(Secret.__name__):
                    has_place = parameter.kind is parameter.POSITIONAL_OR_KEYWORD
                    yield name, parameter.name, position if has_place else None


@pytest.mark.parametrize(("function", "parameter", "position"), list(list_secret_parameters()))
def test_secrets_are_found_in_every_function_call(function, parameter, position):
    """The scan finds a secret as a keyword argument and, if Python allows it, as a positional
    argument.
    """
    calls = [f"ln.{function}(folder, {parameter}=words)"]
    if position is not None:
        calls.append(f"ln.{function}({'folder, ' * position}words)")
    for call in calls:
        assert scan(['words = "correct horse battery"', call]) == ["n.ipynb cell 1"]
