"""What each SPDX licence asks of those who use code under it. Knows no expressions and no policy.

The classes follow the usual reading of the licences (FSF, OSI, Blue Oak Council); they are not legal advice, and a
policy may override each id.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache, lru_cache
from typing import Final

from guard.license_names import PROPRIETARY, PUBLIC_DOMAIN


class LicenseCategory(StrEnum):
    """What a licence asks for, from nothing to everything."""

    PUBLIC_DOMAIN = "public-domain"
    """No condition at all, not even to be named."""
    PERMISSIVE = "permissive"
    """Keep the notice."""
    WEAK_COPYLEFT = "weak-copyleft"
    """Changes to the file or library stay under its licence."""
    STRONG_COPYLEFT = "strong-copyleft"
    """The whole work that is distributed comes under its licence."""
    NETWORK_COPYLEFT = "network-copyleft"
    """So does a work that is only offered over a network."""
    PROPRIETARY = "proprietary"
    """Use itself is restricted: source-available, non-commercial, no derivatives, all rights reserved."""
    UNKNOWN = "unknown"
    """Nobody has said, or not in words that are known here."""


# A name that ends in "-" stands for a family; the longest that fits decides, a full id before any family.
_TABLE: Final = {
    LicenseCategory.PUBLIC_DOMAIN: (
        "0BSD", "ANTLR-PD", "ANTLR-PD-fallback", "blessing", "CC-PDDC", "CC-PDM-1.0", "CC0-1.0", "FSFUL",
        "LZMA-SDK-9.22", "MIT-0", "NCBI-PD", "NIST-PD", "NIST-PD-fallback", "NTIA-PD", "PDDL-1.0", "SAX-PD",
        "Unlicense", "WTFPL", PUBLIC_DOMAIN,
    ),
    LicenseCategory.PERMISSIVE: (
        "AAL", "Adobe-2006", "AFL-", "Apache-", "Beerware", "Bitstream-Vera", "BlueOak-1.0.0", "Boehm-GC", "BSD-",
        "BSD-3-Clause-HP", "BSL-1.0", "bzip2-", "CC-BY-", "CDLA-Permissive-", "CECILL-B", "CERN-OHL-P-2.0",
        "CMU-Mach", "CNRI-Jython", "CNRI-Python", "curl", "dtoa", "ECL-", "EFL-1.0", "EFL-2.0", "Entessa", "EPICS",
        "EUDatagrid", "Fair", "FSFAP", "FSFULLR", "FSFULLRWD", "FTL", "GLWTPL", "HDF5", "HPND", "HPND-", "HTMLTIDY",
        "IBM-pibs", "ICU", "IJG", "ImageMagick", "Info-ZIP", "Intel", "ISC", "ISC-", "Jam", "JasPer-2.0", "Latex2e",
        "Libpng", "libpng-1.6.35", "libpng-2.0", "libtiff", "Linux-OpenIB", "LPD-document", "MirOS", "MIT", "MIT-",
        "MITNFA", "mpich2", "MulanPSL-", "Multics", "NCSA", "Net-SNMP", "NetCDF", "NICTA-1.0", "NIST-Software",
        "NTP", "NTP-0", "ODC-By-1.0", "OGC-1.0", "OLDAP-", "OML", "OpenSSL", "OpenSSL-standalone", "PHP-",
        "pkgconf", "Plexus", "PostgreSQL", "PSF-", "Python-", "Sendmail", "SGI-B-2.0", "SMLNJ", "snprintf",
        "Spencer-", "SSH-OpenSSH", "SSLeay-standalone", "SunPro", "TCL", "TCP-wrappers", "TermReadKey",
        "Unicode-3.0", "Unicode-DFS-", "UnixCrypt", "UPL-1.0", "VSL-1.0", "W3C", "W3C-", "X11", "X11-", "Xerox",
        "XFree86-1.1", "Xnet", "Zed", "Zend-2.0", "Zlib", "zlib-acknowledgement", "ZPL-",
    ),
    LicenseCategory.WEAK_COPYLEFT: (
        "APSL-", "Artistic-", "BitTorrent-", "CDDL-", "CECILL-C", "CERN-OHL-W-2.0", "ClArtistic", "CPL-1.0",
        "CUA-OPL-1.0", "EPL-", "ErlPL-1.1", "FreeImage", "gnuplot", "Interbase-1.0", "IPA", "IPL-1.0", "LGPL-",
        "LGPLLR", "LPL-", "LPPL-", "Motosoto", "MPL-", "MS-PL", "MS-RL", "NASA-1.3", "Nokia", "NPL-", "OFL-",
        "OLDAP-1.1", "OLDAP-1.2", "OLDAP-1.3", "OLDAP-1.4", "Qhull", "RPSL-1.0", "RSCPL", "Ruby", "SISSL",
        "SISSL-1.2", "SPL-1.0", "SugarCRM-1.1.3", "Vim", "wxWindows",
    ),
    LicenseCategory.STRONG_COPYLEFT: (
        "BSD-Protection", "CC-BY-SA-", "CC-SA-1.0", "CDLA-Sharing-1.0", "CECILL-", "CERN-OHL-S-2.0",
        "copyleft-next-", "D-FSL-1.0", "eCos-2.0", "GFDL-", "GPL-", "LiLiQ-R-", "LiLiQ-Rplus-", "ODbL-1.0",
        "QPL-1.0", "SimPL-2.0", "Sleepycat",
    ),
    LicenseCategory.NETWORK_COPYLEFT: (
        "AGPL-", "APL-1.0", "CAL-1.0", "CAL-1.0-", "CPAL-1.0", "EUPL-", "NPOSL-3.0", "OSL-", "Parity-", "RPL-",
        "SSPL-1.0",
    ),
    LicenseCategory.PROPRIETARY: (
        "Aladdin", "BSD-3-Clause-No-", "BUSL-1.1", "CC-BY-NC-", "CC-BY-ND-", "CPOL-1.02", "Elastic-2.0", "FSL-",
        "Hippocratic-2.1", "JSON", "LicenseRef-commons-clause", "PolyForm-", "SUL-1.0", PROPRIETARY,
    ),
}  # fmt: skip


@lru_cache(maxsize=4096)
def category(spdx_id: str) -> LicenseCategory:
    """The category of one SPDX id, "+" allowed; UNKNOWN if the table does not have it.

    An id with an exception ("GPL-2.0-only WITH Classpath-exception-2.0") has the category of the id.
    """
    base = spdx_id.partition(" WITH ")[0].strip().removesuffix("+").casefold()
    exact = _ids().get(base)
    if exact is not None:
        return exact
    families = [family for family in _families() if base.startswith(family)]
    return _families()[max(families, key=len)] if families else LicenseCategory.UNKNOWN


@cache
def _ids() -> dict[str, LicenseCategory]:
    return {name.casefold(): kind for kind, names in _TABLE.items() for name in names if not name.endswith("-")}


@cache
def _families() -> dict[str, LicenseCategory]:
    return {name.casefold(): kind for kind, names in _TABLE.items() for name in names if name.endswith("-")}
