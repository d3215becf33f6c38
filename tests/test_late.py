"""What is loaded when it is first used: nothing before, and then the thing itself."""

import subprocess
import sys
from importlib import import_module

import pytest

from doubleread.late import late, names_of


def test_a_module_is_loaded_for_the_first_of_its_attributes_and_not_before():
    code = (
        "import sys; from doubleread.late import late; found = late('xml.dom.minidom');"
        " print('xml.dom.minidom' in sys.modules, end=' '); found.Document();"
        " print('xml.dom.minidom' in sys.modules, found.Document is sys.modules['xml.dom.minidom'].Document)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False True True\n"


def test_what_is_not_there_is_not_there():
    with pytest.raises(AttributeError, match="module 'json' has no attribute 'nothing'"):
        _ = late("json").nothing
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        _ = late("no_such_module").anything


def test_the_names_of_a_package_are_those_of_their_modules():
    asked_for = names_of("package", {"dumps": "json", "Path": "pathlib"})
    assert asked_for("dumps") is import_module("json").dumps
    with pytest.raises(AttributeError, match=r"^module 'package' has no attribute 'loads'$"):
        asked_for("loads")


@pytest.mark.parametrize("package", ["doubleread", "doubleread.runner", "doubleread.model_file"])
def test_every_name_of_a_package_is_there(package):
    module = import_module(package)
    # a module of the same name would stand before what is asked for
    assert all(getattr(module, name).__class__.__name__ != "module" for name in module.__all__)
    with pytest.raises(AttributeError):
        _ = module.nothing_of_that_name
