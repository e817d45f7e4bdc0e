"""The open fonts that the samples are set in: who made them, under which licence, and the package that brings the file.

No font is part of this repository. Debian's packages put theirs below `DEBIAN`; the packages from npm are installed into
`.fonts` beside this file, where git does not look.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # it ships no type information
from PIL import ImageFont

DEBIAN = Path("/usr/share/fonts")
NPM = Path(__file__).parent / ".fonts" / "node_modules"

OFL = "OFL-1.1"
OLD_OFL = "OFL-1.0"
APACHE = "Apache-2.0"
GPL = "GPL-2.0 with font exception"
GPL_3 = "GPL-3.0 with font exception"
AGPL = "AGPL-3.0 with font exception"
PUBLIC_DOMAIN = "public domain"


class FontsMissing(Exception):
    """Fonts that the samples need are not installed."""


@dataclass(frozen=True, slots=True)
class Font:
    """One face. `file` is relative to where its package keeps its fonts."""

    name: str
    author: str
    licence: str
    package: str
    file: str

    @property
    def path(self) -> Path:
        """Where the file lies once the package is installed."""
        return NPM / self.package / "files" / self.file if self.package.startswith("@") else DEBIAN / self.file


def _from_npm(slug: str, name: str, author: str, licence: str = OFL, style: str = "normal") -> Font:
    return Font(name, author, licence, f"@fontsource/{slug}", f"{slug}-latin-400-{style}.woff2")


def _from_debian(package: str, file: str, name: str, author: str, licence: str = OFL) -> Font:
    return Font(name, author, licence, f"fonts-{package}", file)


PRINTED = {
    "blankenburg": _from_debian("blankenburg", "truetype/blankenburg/Blankenburg_UNZ1A.ttf", "Blankenburg", "Peter Wiegel"),
    "eb-garamond": _from_debian("ebgaramond", "opentype/ebgaramond/EBGaramond12-Regular.otf", "EB Garamond", "Georg Duffner"),
    "eb-garamond-italic": _from_debian(
        "ebgaramond", "opentype/ebgaramond/EBGaramond12-Italic.otf", "EB Garamond Italic", "Georg Duffner"
    ),
    "gamaliel": _from_debian("gamaliel", "truetype/gamaliel/Gamaliel.ttf", "Gamaliel", "Rafael Ferran i Peralta"),
    "gfs-didot": _from_debian("gfs-didot", "opentype/didot/GFSDidot.otf", "GFS Didot", "Greek Font Society"),
    "goudy-bookletter": _from_debian(
        "goudybookletter",
        "opentype/sortsmill/GoudyBookletter1911.otf",
        "Goudy Bookletter 1911",
        "Barry Schwartz",
        PUBLIC_DOMAIN,
    ),
    "im-fell-english": _from_npm("im-fell-english", "IM Fell English", "Igino Marini"),
    "im-fell-dw-pica-italic": _from_npm("im-fell-dw-pica", "IM Fell DW Pica Italic", "Igino Marini", style="italic"),
    "junicode": _from_debian(
        "junicode", "opentype/junicode/JunicodeTwoBeta-Condensed.otf", "Junicode Condensed", "Peter S. Baker"
    ),
    "lato": _from_debian("lato", "truetype/lato/Lato-Regular.ttf", "Lato", "Łukasz Dziedzic"),
    "libertine": _from_debian(
        "linuxlibertine", "opentype/linux-libertine/LinLibertine_R.otf", "Linux Libertine", "Philipp H. Poll"
    ),
    "old-standard": _from_debian(
        "oldstandard", "truetype/fonts-oldstandard/OldStandard-Regular.ttf", "Old Standard", "Alexey Kryukov", OLD_OFL
    ),
    "old-standard-italic": _from_debian(
        "oldstandard", "truetype/fonts-oldstandard/OldStandard-Italic.ttf", "Old Standard Italic", "Alexey Kryukov", OLD_OFL
    ),
    "unifraktur-maguntia": _from_npm("unifrakturmaguntia", "UnifrakturMaguntia", "j. 'mach' wust, Peter Wiegel"),
}

HANDWRITTEN = {
    "bad-script": _from_npm("bad-script", "Bad Script", "Roman Shchyukin"),
    "cedarville-cursive": _from_npm("cedarville-cursive", "Cedarville Cursive", "Kimberly Geswein"),
    "dancing-script": _from_debian(
        "dancingscript", "opentype/dancingscript/DancingScript-Regular.otf", "Dancing Script", "Pablo Impallari"
    ),
    "dawning-of-a-new-day": _from_npm("dawning-of-a-new-day", "Dawning of a New Day", "Kimberly Geswein"),
    "delphine": _from_debian("sjfonts", "truetype/sjfonts/Delphine.ttf", "Delphine", "Steve Jordi", GPL),
    "dkg": _from_debian("dkg-handwriting", "truetype/fifthhorseman/dkg.ttf", "dkg", "Daniel Kahn Gillmor"),
    "ecolier-court": _from_debian(
        "ecolier-court", "truetype/ecolier-court/Ecolier-court.ttf", "Écolier court", "Jean-Marie Douteau"
    ),
    "herr-von-muellerhoff": _from_npm("herr-von-muellerhoff", "Herr Von Muellerhoff", "Alejandro Paul"),
    "homemade-apple": _from_npm("homemade-apple", "Homemade Apple", "Font Diner", APACHE),
    "joscelyn": _from_debian("joscelyn", "opentype/joscelyn/Joscelyn-Regular.otf", "Joscelyn", "Peter S. Baker"),
    "kristi": _from_debian("kristi", "truetype/kristi/Kristi.ttf", "Kristi", "Birgit Pulk"),
    "la-belle-aurore": _from_npm("la-belle-aurore", "La Belle Aurore", "Kimberly Geswein"),
    "meddon": _from_npm("meddon", "Meddon", "Vernon Adams"),
    "mr-de-haviland": _from_npm("mr-de-haviland", "Mr De Haviland", "Alejandro Paul"),
    "mrs-saint-delafield": _from_npm("mrs-saint-delafield", "Mrs Saint Delafield", "Alejandro Paul"),
    "over-the-rainbow": _from_npm("over-the-rainbow", "Over the Rainbow", "Kimberly Geswein"),
    "reenie-beanie": _from_npm("reenie-beanie", "Reenie Beanie", "James Grieshaber"),
    "zeyada": _from_npm("zeyada", "Zeyada", "Kimberly Geswein"),
}

FONTS = PRINTED | HANDWRITTEN

TYPEWRITTEN = {
    "courier-prime": _from_npm("courier-prime", "Courier Prime", "Alan Dague-Greene"),
    "cutive-mono": _from_npm("cutive-mono", "Cutive Mono", "Vernon Adams"),
    "free-mono": _from_debian("freefont-ttf", "truetype/freefont/FreeMono.ttf", "FreeMono", "GNU FreeFont", GPL_3),
    "free-mono-bold": _from_debian(
        "freefont-ttf", "truetype/freefont/FreeMonoBold.ttf", "FreeMono Bold", "GNU FreeFont", GPL_3
    ),
    "gnu-typewriter": _from_debian(
        "gnutypewriter", "truetype/gnutypewriter/GNUTypewriter.ttf", "GNUTypewriter", "Łukasz Komsta"
    ),
    "nimbus-mono": _from_debian(
        "urw-base35", "opentype/urw-base35/NimbusMonoPS-Regular.otf", "Nimbus Mono PS", "(URW)++", AGPL
    ),
    "nimbus-mono-bold": _from_debian(
        "urw-base35", "opentype/urw-base35/NimbusMonoPS-Bold.otf", "Nimbus Mono PS Bold", "(URW)++", AGPL
    ),
    "special-elite": _from_npm("special-elite", "Special Elite", "Astigmatic", APACHE),
    "tlwg-typewriter": _from_debian(
        "tlwg-typewriter-ttf", "truetype/tlwg/TlwgTypewriter.ttf", "TlwgTypewriter", "Theppitak Karoonboonyanan", GPL
    ),
    "tlwg-typist": _from_debian(
        "tlwg-typist-ttf", "truetype/tlwg/TlwgTypist.ttf", "TlwgTypist", "Theppitak Karoonboonyanan", GPL
    ),
    "tlwg-typo": _from_debian("tlwg-typo-ttf", "truetype/tlwg/TlwgTypo.ttf", "TlwgTypo", "Theppitak Karoonboonyanan", GPL),
    "typewriter-text": _from_debian("cmu", "truetype/cmu/cmuntt.ttf", "CMU Typewriter Text", "Andrey V. Panov"),
    "typewriter-text-bold": _from_debian("cmu", "truetype/cmu/cmuntb.ttf", "CMU Typewriter Text Bold", "Andrey V. Panov"),
}

MODERN = {
    "century": _from_debian("urw-base35", "opentype/urw-base35/C059-Roman.otf", "C059", "(URW)++", AGPL),
    "palladio": _from_debian("urw-base35", "opentype/urw-base35/P052-Roman.otf", "P052", "(URW)++", AGPL),
    "nimbus-roman": _from_debian("urw-base35", "opentype/urw-base35/NimbusRoman-Regular.otf", "Nimbus Roman", "(URW)++", AGPL),
    "nimbus-sans": _from_debian("urw-base35", "opentype/urw-base35/NimbusSans-Regular.otf", "Nimbus Sans", "(URW)++", AGPL),
}


def check_installed(fonts: Iterable[Font]) -> None:
    """Raise `FontsMissing`, naming the fonts and the packages that bring them, unless every file is there."""
    missing = [font for font in fonts if not font.path.is_file()]
    if missing:
        names = ", ".join(sorted({font.name for font in missing}))
        packages = " ".join(sorted({font.package for font in missing}))
        raise FontsMissing(f"These fonts are missing: {names}; install the packages {packages} as samples/README.md says.")


def load(font: Font, body: float) -> ImageFont.FreeTypeFont:
    """Load `font` at the size at which it stands `body` pixels high from the top of an `h` to the foot of a `g`."""
    data = _as_opentype(font.path)
    _, top, _, bottom = ImageFont.truetype(io.BytesIO(data), 1000).getbbox("dhgp")
    return ImageFont.truetype(io.BytesIO(data), 1000 * body / (bottom - top))


def _as_opentype(path: Path) -> bytes:
    """Read a font file; what npm brings is compressed for the web, which FreeType may have been built without."""
    if path.suffix != ".woff2":
        return path.read_bytes()
    with TTFont(path) as font:
        font.flavor = None
        unpacked = io.BytesIO()
        font.save(unpacked)
    return unpacked.getvalue()
