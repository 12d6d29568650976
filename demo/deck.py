"""A made-up carrier's rate deck of any size: real country codes (ITU-T E.164), invented prices, the same for a seed.

    .venv/bin/python -m demo.deck --rates 5000 > deck.csv
    .venv/bin/python -m demo.deck --rates 5000 --revision 2 > next-month.csv     # a tenth of the prices is another
    bin/meterline tariff import Retail deck.csv --dry-run
"""

import argparse
import csv
import random
import sys
from collections.abc import Iterator
from datetime import date

HEADER = ("Destination", "Code", "Rate/min", "Connection fee", "Billing increment", "Effective date")

_ZONES = """
20 Egypt;211 South Sudan;212 Morocco;213 Algeria;216 Tunisia;218 Libya;220 Gambia;221 Senegal;222 Mauritania;223 Mali
224 Guinea;225 Ivory Coast;226 Burkina Faso;227 Niger;228 Togo;229 Benin;230 Mauritius;231 Liberia;232 Sierra Leone
233 Ghana;234 Nigeria;235 Chad;236 Central African Republic;237 Cameroon;238 Cape Verde;239 Sao Tome and Principe
240 Equatorial Guinea;241 Gabon;242 Congo;243 DR Congo;244 Angola;245 Guinea-Bissau;246 Diego Garcia;247 Ascension
248 Seychelles;249 Sudan;250 Rwanda;251 Ethiopia;252 Somalia;253 Djibouti;254 Kenya;255 Tanzania;256 Uganda
257 Burundi;258 Mozambique;260 Zambia;261 Madagascar;262 Reunion;263 Zimbabwe;264 Namibia;265 Malawi;266 Lesotho
267 Botswana;268 Eswatini;269 Comoros;27 South Africa;290 Saint Helena;291 Eritrea;297 Aruba;298 Faroe Islands
299 Greenland;30 Greece;31 Netherlands;32 Belgium;33 France;34 Spain;350 Gibraltar;351 Portugal;352 Luxembourg
353 Ireland;354 Iceland;355 Albania;356 Malta;357 Cyprus;358 Finland;359 Bulgaria;36 Hungary;370 Lithuania;371 Latvia
372 Estonia;373 Moldova;374 Armenia;375 Belarus;376 Andorra;377 Monaco;378 San Marino;380 Ukraine;381 Serbia
382 Montenegro;383 Kosovo;385 Croatia;386 Slovenia;387 Bosnia and Herzegovina;389 North Macedonia;39 Italy;40 Romania
41 Switzerland;420 Czechia;421 Slovakia;423 Liechtenstein;43 Austria;44 United Kingdom;45 Denmark;46 Sweden;47 Norway
48 Poland;49 Germany;500 Falkland Islands;501 Belize;502 Guatemala;503 El Salvador;504 Honduras;505 Nicaragua
506 Costa Rica;507 Panama;508 Saint Pierre and Miquelon;509 Haiti;51 Peru;52 Mexico;53 Cuba;54 Argentina;55 Brazil
56 Chile;57 Colombia;58 Venezuela;590 Guadeloupe;591 Bolivia;592 Guyana;593 Ecuador;594 French Guiana;595 Paraguay
596 Martinique;597 Suriname;598 Uruguay;599 Curacao;60 Malaysia;61 Australia;62 Indonesia;63 Philippines
64 New Zealand;65 Singapore;66 Thailand;670 Timor-Leste;672 Norfolk Island;673 Brunei;674 Nauru;675 Papua New Guinea
676 Tonga;677 Solomon Islands;678 Vanuatu;679 Fiji;680 Palau;681 Wallis and Futuna;682 Cook Islands;683 Niue
685 Samoa;686 Kiribati;687 New Caledonia;688 Tuvalu;689 French Polynesia;690 Tokelau;691 Micronesia
692 Marshall Islands;7 Russia and Kazakhstan;81 Japan;82 South Korea;84 Vietnam;850 North Korea;852 Hong Kong
853 Macao;855 Cambodia;856 Laos;86 China;880 Bangladesh;886 Taiwan;90 Turkey;91 India;92 Pakistan;93 Afghanistan
94 Sri Lanka;95 Myanmar;960 Maldives;961 Lebanon;962 Jordan;963 Syria;964 Iraq;965 Kuwait;966 Saudi Arabia;967 Yemen
968 Oman;970 Palestine;971 United Arab Emirates;972 Israel;973 Bahrain;974 Qatar;975 Bhutan;976 Mongolia;977 Nepal
98 Iran;992 Tajikistan;993 Turkmenistan;994 Azerbaijan;995 Georgia;996 Kyrgyzstan;998 Uzbekistan;1 North America
"""
ZONES = tuple(
    (code, name)
    for zone in _ZONES.replace("\n", ";").split(";")
    if zone
    for code, _, name in [zone.partition(" ")]
)
"""Country codes and their names; none begins another."""
_INCREMENTS = ("1", "60", "60/1", "30/6")
_CHANGED = 0.1


def deck(rates: int, seed: int = 1, revision: int = 1, begins: date | None = None) -> Iterator[tuple[str, ...]]:
    """The header and so many lines. A later revision has other prices in a tenth of them; `begins`: a date in each."""
    yield HEADER if begins else HEADER[:-1]
    for number, (code, name) in enumerate(ZONES):
        share = rates // len(ZONES) + (number < rates % len(ZONES))
        draw = random.Random(f"{seed} {code}")  # noqa: S311  # nosec B311  # invented prices
        later = random.Random(f"{seed} {code} {revision}")  # noqa: S311  # nosec B311  # its own, so that the rest stays
        base = draw.randrange(40, 4000)
        for prefix in _prefixes(code, share):
            mobile = len(prefix) > len(code) and int(prefix[len(code)]) in {1, 6, 7, 9}
            price = base * (3 if mobile else 1) + draw.randrange(base)
            if revision > 1 and later.random() < _CHANGED:
                price = price * later.randrange(80, 125) // 100
            fee = "0.01" if draw.random() < _CHANGED else "0"
            named = f"{name} mobile" if mobile else name
            line = (named, prefix, f"{price / 10_000:.4f}", fee, draw.choice(_INCREMENTS))
            yield (*line, begins.isoformat()) if begins else line


def _prefixes(code: str, count: int) -> list[str]:
    """The code and what is below it, one digit after another, in order."""
    found: list[str] = []
    digits = 0
    while len(found) < count:
        numbers = range(min(10**digits, count - len(found)))
        found += [f"{code}{number:0{digits}}" if digits else code for number in numbers]
        digits += 1
    return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(description="A made-up rate deck, as CSV.")
    parser.add_argument("--rates", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--revision", type=int, default=1, help="a later one has other prices in a tenth of its lines")
    parser.add_argument("--begins", type=date.fromisoformat, help="an effective date in each line")
    args = parser.parse_args()
    lines = deck(args.rates, args.seed, args.revision, args.begins)
    csv.writer(sys.stdout, lineterminator="\n").writerows(lines)


if __name__ == "__main__":
    main()
