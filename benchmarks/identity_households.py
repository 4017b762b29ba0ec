"""Invented people of five languages, made to be confused: households, twins, namesakes, and how people misspell.

Seeded, so that a set is the same on every machine. Every person has one to three records; each record has its own
slips, gaps and habits of writing. Nothing is taken from real people.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from unicodedata import normalize


@dataclass(frozen=True, slots=True)
class Written:
    """A record as somebody typed it."""

    given_name: str | None
    family_name: str | None
    birth_date: str | None
    street: str | None
    postal_code: str | None
    city: str | None
    country: str
    phone: str | None
    email: str | None


@dataclass(frozen=True, slots=True)
class Locale:
    """What people of a country are called, and where they live."""

    country: str
    prefix: str
    women: str
    men: str
    families: str
    streets: str
    cities: str
    number_first: bool = False
    two_families: bool = False
    rare: tuple[str, str] = ("", "")
    """The first and last parts of the many family names that few people have."""


LOCALES = (
    Locale(
        "DE", "+4930",
        "Anna Lena Lina Hannah Hanna Marie Sophie Lea Mia Emma Jürgen-Maria Käthe Daniela Julia Juliane Änne Jördis",
        "Paul Jonas Jürgen Björn Felix Leon Lukas Max Daniel Julian Jörg Götz Tim Tom Karl-Heinz Michael Mark Marc",
        "Müller Schmidt Schneider Fischer Weber Schröder Schäfer Bäcker Köhler Groß Weiß Krüger Böhm Jäger Grün Möller",
        "Hauptstraße Goethestr. Bahnhofstraße Mühlenweg Schloßallee Am-Anger Königsplatz Blücherstr.",
        "Berlin München Köln Düsseldorf Görlitz",
        rare=("Weiden Stein Hof Eschen Lind Brunn Kalten Ober Nieder Hirsch Wall Roß Grün Schön Rauch Alt",
         "berger mann hofer bach meier dörfer wald kamp hausen thaler städter müller"),
    ),
    Locale(
        "CZ", "+4202",
        "Jana Hana Petra Eva Lucie Tereza Kateřina Žofie Růžena Markéta Daniela Michaela Šárka Zdeňka",
        "Jan Petr Pavel Jiří Tomáš Ondřej Lukáš Daniel Michal Zdeněk Řehoř Štěpán Jaroslav Miroslav Bořivoj",
        "Novák Svoboda Dvořák Černý Procházka Kučera Veselý Horák Němec Pokorný Marek Růžička Šťastný Beneš Kříž",
        "Dlouhá Krátká Masarykova Husova Nádražní Školní Zahradní Lipová",
        "Praha Brno Ostrava Plzeň Olomouc",
        rare=("Hol Kříž Vlč Žiž Do Ře Šim Kop Mal Hrub Bar Sta Čap Zem",
         "áček ovský ek ánek ička ánský oušek ůvka eček ařík"),
    ),
    Locale(
        "PL", "+4822",
        "Anna Maria Katarzyna Małgorzata Agnieszka Zofia Łucja Elżbieta Ewa Żaneta Danuta Daniela Julia",
        "Jan Piotr Paweł Łukasz Michał Stanisław Wojciech Marian Mariusz Daniel Julian Krzysztof Grzegorz",
        "Nowak Kowalski Wiśniewski Wójcik Kamiński Lewandowski Zieliński Szymański Woźniak Dąbrowski Kozłowski Jasiński",
        "Polna Leśna Słoneczna Krótka Szkolna Ogrodowa Łąkowa Brzozowa",
        "Warszawa Kraków Łódź Wrocław Gdańsk",
        rare=("Brzo Wiśn Gór Zaw Kacz Mali Sob Śliw Jab Ostr Rud Żuk Kra",
         "zowski iak ecki adzki marek ńczyk ołek iński oński czuk"),
    ),
    Locale(
        "ES", "+3491",
        "María Carmen Ana Isabel Lucía Sofía Elena Marta Paula Julia Begoña Mercedes Daniela María-José",
        "José Antonio Manuel Francisco Juan Mario Julio Julián Pablo Daniel Ángel Iñigo Jesús José-María",
        "García Martínez López Sánchez Pérez Gómez Martín Jiménez Ruiz Hernández Díaz Moreno Muñoz Álvarez Núñez Ibáñez",
        "Mayor Real Goya Serrano Alcalá Cervantes Velázquez Atocha",
        "Madrid Sevilla Córdoba Málaga Cádiz",
        rare=("Echev Iba Mendi Urru Zuma Goros Lara Olaz Villa Monte Rio Agui",
         "erría rreta zábal tia lacárregui tegui lobos nueva rrubia seco ñaga"),
        two_families=True,
    ),
    Locale(
        "CN", "+8610",
        "Li Na Fang Min Jing Xiuying Yan Xiao-Ming Mei-Ling Xue Ying Hui-Fen Lan",
        "Wei Qiang Lei Jun Yong Jie Tao Ming Xiao-Long Guo-Qiang Bo Gang Wen",
        "Wang Li Zhang Liu Chen Yang Huang Zhao Wu Zhou Xu Sun Ma Zhu Hu Guo Lin Ouyang Sima",
        "Nanjing Zhongshan Renmin Jianguo Beijing Huaihai Jiefang Chaoyang",
        "Beijing Shanghai Guangzhou Chengdu Wuhan",
    ),
)  # fmt: skip

ALIKE = (("Lena", "Lina"), ("Daniel", "Daniela"), ("Petr", "Petra"), ("Jana", "Hana"), ("Tim", "Tom"), ("Mario", "María"),
         ("Julian", "Juliane"), ("Wei", "Wen"), ("Marie", "Marlen"), ("Jan", "Jana"), ("Leon", "Leona"))  # fmt: skip
"""Names that parents do give to twins, and that are one letter apart."""


@dataclass(frozen=True, slots=True)
class Household:
    """What people of one address share."""

    locale: Locale
    families: tuple[str, ...]
    street: str
    postal_code: str
    city: str
    phone: str


def people(seed: int, households: int) -> Iterator[tuple[int, Written]]:
    """Every record with the number of its person."""
    random = Random(seed)  # noqa: S311 - a benchmark's data, not a secret
    number = 0
    for _ in range(households):
        home = _household(random)
        shared_mailbox = f"familie.{_plain(home.families[0]).lower()}{random.randrange(100)}@example.org"
        for person in _members(random, home):
            own = replace(person, email=shared_mailbox) if random.random() < 0.1 else person
            number += 1
            for _ in range(random.choices((1, 2, 3), (55, 35, 10))[0]):
                yield number, _as_typed(random, home, own)


def _common(random: Random, names: str) -> str:
    """One of the names, the first far more often than the last."""
    every = names.split()
    return random.choices(every, [1 / (n + 1) for n in range(len(every))])[0].replace("-", " ")


def _household(random: Random) -> Household:
    locale = random.choice(LOCALES)
    families = tuple(_family(random, locale) for _ in range(2 if locale.two_families else 1))
    city = random.choice(locale.cities.split())
    number = str(random.randrange(1, 120))
    named = random.choice(locale.streets.split()).replace("-", " ")
    code = 10_000 + 100 * locale.cities.split().index(city) + random.randrange(60)
    return Household(locale, families, f"{named} {number}", str(code), city, _number(random, locale))


def _family(random: Random, locale: Locale) -> str:
    """A common family name, or as often one that few people have."""
    first, last = (each.split() for each in locale.rare)
    if not first or random.random() < 0.5:
        return _common(random, locale.families)
    return random.choice(first) + random.choice(last)


def _given(random: Random, locale: Locale, names: str) -> str:
    """A given name; Chinese ones are mostly two syllables that parents choose."""
    if locale.country == "CN" and random.random() < 0.8:
        one, other = (random.choice(_SYLLABLES.split()) for _ in range(2))
        return random.choice((f"{one} {other}", f"{one}{other.lower()}"))
    return _common(random, names)


_SYLLABLES = (
    "Xiao Mei Guo Hui Jia Zhi Yu Hao Ling Qing Shu Rui Bin Cheng Dong Feng Hong Kai Lan Ning Peng Qi Rong Shan Tian Xin "
    "Yi Zhen Ai Bao Chun De Fu Gui Han Jian Ke Li Ming Nan"
)


def _number(random: Random, locale: Locale) -> str:
    return f"{locale.prefix}{random.randrange(10_000_000):07d}"


def _members(random: Random, home: Household) -> Iterator[Written]:
    """Parents and children, now and then with twins, or with a son who has his father's name."""
    born = date(random.randrange(1935, 1990), 1, 1) + timedelta(days=random.randrange(365))
    adults = random.choice((1, 2, 2, 2))
    grown = [_given(random, home.locale, names) for names in (home.locale.men, home.locale.women)[:adults]]
    for each in grown:
        yield _member(random, home, each, born + timedelta(days=random.randrange(-3000, 3000)))
    for _ in range(random.choice((0, 0, 1, 2))):
        child = born + timedelta(days=random.randrange(9000, 13_000))
        kind = random.random()
        if kind < 0.1:
            one, other = random.choice(ALIKE) if random.random() < 0.4 else _two(random, home.locale)
            yield _member(random, home, one, child)
            yield _member(random, home, other, child)
        elif kind < 0.2 and grown:
            yield _member(random, home, grown.pop(), child)
        else:
            names = random.choice((home.locale.men, home.locale.women))
            yield _member(random, home, _given(random, home.locale, names), child)


def _two(random: Random, locale: Locale) -> tuple[str, str]:
    every = sorted(set(f"{locale.men} {locale.women}".replace("-", "").split()))
    one, other = random.sample(every, 2)
    return one, other


def _member(random: Random, home: Household, given: str, born: date) -> Written:
    family = " ".join(home.families)
    # Long enough a number that nobody has another's address, as is so in life.
    mailbox = f"{_plain(given).lower()}.{_plain(home.families[0]).lower()}{random.randrange(10**7)}@example.com"
    return Written(
        given_name=given,
        family_name=family,
        birth_date=born.isoformat(),
        street=home.street,
        postal_code=home.postal_code,
        city=home.city,
        country=home.locale.country,
        phone=home.phone if random.random() < 0.4 else _number(random, home.locale),
        email=mailbox.replace(" ", ""),
    )


def _as_typed(random: Random, home: Household, own: Written) -> Written:
    """One record of a person: other habits, slips, gaps, and now and then a new address."""
    given, family = own.given_name or "", own.family_name or ""
    if len(home.families) > 1 and random.random() < 0.25:
        family = home.families[0]
    given, family = (_name_as_typed(random, each) for each in (given, family))
    if random.random() < 0.04:
        given, family = family, given
    elif random.random() < 0.03:
        given = given[0] + "."
    moved = _household(random) if random.random() < 0.07 else home
    if moved.locale is not home.locale:
        moved = home
    street = moved.street.replace("straße", "str.") if random.random() < 0.3 else moved.street
    return Written(
        given_name=_gap(random, given, 0.05),
        family_name=_gap(random, family, 0.02),
        birth_date=_gap(random, _birth_as_typed(random, own.birth_date or ""), 0.25),
        street=_gap(random, _slip(random, street, 0.06), 0.1),
        postal_code=_gap(random, _slip(random, moved.postal_code, 0.04), 0.08),
        city=_gap(random, _slip(random, moved.city, 0.04), 0.08),
        country=own.country,
        phone=_gap(random, _slip(random, own.phone or "", 0.03), 0.4),
        email=_gap(random, _slip(random, own.email or "", 0.02), 0.4),
    )


def _gap(random: Random, text: str, share: float) -> str | None:
    return None if random.random() < share else text


def _name_as_typed(random: Random, name: str) -> str:
    habit = random.random()
    if habit < 0.15:
        name = _plain(name)
    elif habit < 0.25:
        for umlaut, spelt in (
            ("ä", "ae"),
            ("ö", "oe"),
            ("ü", "ue"),
            ("Ä", "Ae"),
            ("Ö", "Oe"),
            ("Ü", "Ue"),
            ("ß", "ss"),
        ):
            name = name.replace(umlaut, spelt)
    elif habit < 0.3:
        name = name.upper()
    elif habit < 0.35:
        name = name.replace(" ", "-")
    return _slip(random, name, 0.06)


def _birth_as_typed(random: Random, born: str) -> str:
    kind = random.random()
    if kind < 0.02:
        return f"{born[:4]}-{born[8:]}-{born[5:7]}"
    if kind < 0.05:
        place = random.choice((2, 3, 6, 9))
        return born[:place] + str(random.randrange(10)) + born[place + 1 :]
    return born[:4] if kind < 0.07 else born


def _slip(random: Random, text: str, share: float) -> str:
    """Now and then a letter left out, doubled, changed, or two the other way round."""
    if len(text) < 3 or random.random() >= share:
        return text
    place = random.randrange(1, len(text) - 1)
    head, letter, after, tail = text[:place], text[place], text[place + 1], text[place + 2 :]
    new = random.choice("0123456789" if letter.isdigit() else "abcdefghijklmnoprstuvwz")
    return random.choice(
        (
            head + after + tail,
            head + letter * 2 + after + tail,
            head + new + after + tail,
            head + after + letter + tail,
        )
    )


def _plain(text: str) -> str:
    return (
        normalize("NFKD", text.replace("ß", "ss").replace("ł", "l").replace("Ł", "L"))
        .encode("ascii", "ignore")
        .decode()
    )
