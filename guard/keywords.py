"""Words that renaming leaves alone, for each syntax, and which language has which. Knows nothing else.

Words that are keywords in one language and common names in another (`type`, `match`, `from`, `in` in the slash
languages) are left out: taking them for names costs a little precision, taking names for keywords costs recall.
"""

from __future__ import annotations

HASH_LANGUAGES = frozenset(
    {"python", "ruby", "shell", "perl", "r", "yaml", "toml", "elixir", "julia", "nim", "dockerfile", "make", "cmake"}
)
SLASH_LANGUAGES = frozenset(
    {
        "c", "cpp", "csharp", "dart", "go", "groovy", "java", "javascript", "kotlin", "objective-c", "php", "rust",
        "scala", "solidity", "swift", "typescript", "zig", "protobuf", "css",
    }
)  # fmt: skip
# Python 3.13 reference, 2.3.1 (hard keywords), and the words that open a block in Ruby and shell.
_HASH_WORDS = """
    False None True and as assert async await break class continue def del elif else except finally for from global if
    import in is lambda nonlocal not or pass raise return try while with yield
    begin end do done then fi esac unless until
"""
# ISO C23 6.4.1, ISO C++23 5.11, JLS 21 3.9, ECMA-262 12.7.2, Go spec "Keywords", Rust reference "Keywords".
_SLASH_WORDS = """
    break case catch class const continue default defer do else enum export extends extern false final finally for fn
    for func go goto if impl implements import instanceof interface let loop mod mut namespace new nil null operator
    package private protected pub public range return select static struct super switch template this throw throws trait
    true try typedef typename union unsafe using var virtual void volatile where while yield async await abstract
    function typeof delete sizeof auto bool boolean byte char double float int long short signed unsigned inline
    constexpr override self Self crate dyn chan fallthrough synchronized transient
"""
HASH_KEYWORDS = frozenset(_HASH_WORDS.split())
SLASH_KEYWORDS = frozenset(_SLASH_WORDS.split())
