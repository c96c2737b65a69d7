"""The documents say what is there."""
import os
import re
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CARTEIRO = os.environ.get('CARTEIRO', os.path.join(TOP, 'build/test/cli/carteiro'))


def text(name):
    with open(os.path.join(TOP, name), encoding='utf-8') as f:
        return f.read()


def test_the_tour_names_files_and_functions_that_exist():
    tour = text('docs/architecture.md')
    stops = re.findall(r'`([a-z_]+/[a-z_/]+\.c)`((?:[\s,]*(?:and\s+)?`[a-z_]+`)*)', tour)
    assert len(stops) > 20
    for path, functions in stops:
        code = text(path)
        for function in re.findall(r'`([a-z_]+)`', functions):
            assert re.search(r'^[a-z].*\b%s\(' % function, code, re.M), '%s has no function %s' % (path, function)


def test_the_tests_of_attacks_exist():
    found = 0
    for line in text('docs/attacks.md').splitlines():
        for path, names in re.findall(r'((?:\w+/)+\w+\.(?:py|c))((?:[\s,]*`\w+`)+)', line):
            for name in re.findall(r'`(\w+)`', names):
                assert re.search(r'^(def|static void) %s\(' % name, text(path), re.M), '%s has no test %s' % (path, name)
                found += 1
    assert found > 70


def test_the_settings_are_documented_from_the_table():
    for words, name in ((['settings'], 'docs/configuration.md'), (['settings', 'man'], 'docs/carteiro.conf.5')):
        made = subprocess.run([CARTEIRO, *words], capture_output=True, text=True, check=True).stdout
        assert made == text(name), '%s is old: make docs' % name


def test_each_command_of_the_help_is_in_the_manual():
    said = subprocess.run([CARTEIRO, 'help'], capture_output=True, text=True, check=True).stdout
    manual = text('docs/carteiro.8').replace('\\fR', ' ').replace('\\fB', ' ')
    for command in re.findall(r'^  carteiro (\w+)', said, re.M):
        assert re.search(r'\b%s\b' % command, manual), command
