"""No national id of the demo company passes its country's own check.

The checks here are written from the validators' side, not the generator's, and each one accepts a published example.
"""

import re
from collections import defaultdict

import pytest

from server.demo import company

ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
ODD_LETTERS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def digits(text: str) -> list[int]:
    return [int(sign) for sign in text if sign.isdigit()]


def ssn(text):
    return bool(re.fullmatch(r"(?!000|666|9)\d{3}-(?!00)\d\d-(?!0000)\d{4}", text))


def sin(text):
    total = 0
    for place, digit in enumerate(reversed(digits(text))):
        doubled = digit * 2 if place % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def nino(text):
    return bool(re.fullmatch(r"(?![DFIQUV])[A-Z](?![DFIQUVO])[A-Z]\d{6}[A-D]", text.replace(" ", "")))


def steuer_id(text):
    rest = 10
    *body, check = digits(text)
    for digit in body:
        total = (digit + rest) % 10
        rest = (2 * (total or 10)) % 11
    return (11 - rest) % 10 == check


def nir(text):
    plain = text.replace(" ", "")
    return 97 - int(plain[:13]) % 97 == int(plain[13:])


def dni(text):
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(text[:8]) % 23] == text[8]


def codice_fiscale(text):
    total = 0
    for place, sign in enumerate(text[:15], start=1):
        value = int(sign) if sign.isdigit() else ord(sign) - 65
        table = ODD if sign.isdigit() else ODD_LETTERS
        total += table[value] if place % 2 else value
    return chr(65 + total % 26) == text[15]


def my_number(text):
    *body, check = digits(text)
    weights = [6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]
    rest = sum(digit * weight for digit, weight in zip(body, weights, strict=True)) % 11
    return (0 if rest <= 1 else 11 - rest) == check


def cpf(text):
    numbers = digits(text)
    for length in (9, 10):
        total = sum(digit * (length + 1 - place) for place, digit in enumerate(numbers[:length]))
        if total * 10 % 11 % 10 != numbers[length]:
            return False
    return True


CHECKS = {
    "US": (ssn, "078-05-1120", r"\d{3}-\d\d-\d{4}"),
    "CA": (sin, "046 454 286", r"\d{3} \d{3} \d{3}"),
    "GB": (nino, "AB 12 34 56 C", r"[A-Z]{2} \d\d \d\d \d\d [A-D]"),
    "DE": (steuer_id, "86 095 742 719", r"[1-9]\d \d{3} \d{3} \d{3}"),
    "FR": (nir, "2 55 08 14 168 025 38", r"[12] \d\d (0[1-9]|1[0-2]) \d\d \d{3} \d{3} \d\d"),
    "ES": (dni, "12345678Z", r"\d{8}[A-Z]"),
    "IT": (codice_fiscale, "MRTMTT91D08F205J", r"[A-Z]{6}\d\d[A-Z]\d\d[A-Z]\d{3}[A-Z]"),
    "JP": (my_number, "1234 5678 9018", r"\d{4} \d{4} \d{4}"),
    "BR": (cpf, "111.444.777-35", r"\d{3}\.\d{3}\.\d{3}-\d\d"),
}


@pytest.fixture(scope="module")
def numbers():
    found = defaultdict(list)
    # Three seeds, so that every country has enough of them.
    for seed in (1997, 1, 2):
        for customer in company(seed):
            if customer.national_id:
                found[customer.country].append(customer.national_id)
    return found


@pytest.mark.parametrize("country", CHECKS)
def test_national_ids_have_the_form_of_their_country_and_are_invalid(numbers, country):
    valid, _, form = CHECKS[country]
    assert len(numbers[country]) > 20
    assert [number for number in numbers[country] if not re.fullmatch(form, number)] == []
    assert [number for number in numbers[country] if valid(number)] == []


@pytest.mark.parametrize("country", CHECKS)
def test_the_check_of_this_test_accepts_a_published_example_and_not_its_neighbours(country):
    valid, example, _ = CHECKS[country]
    assert valid(example)
    if country not in {"US", "GB"}:
        place = next(at for at, sign in enumerate(example) if sign.isdigit())
        changed = example[:place] + str((int(example[place]) + 1) % 10) + example[place + 1 :]
        assert not valid(changed)


def test_countries_without_a_number_have_none(numbers):
    assert set(numbers) == set(CHECKS)
