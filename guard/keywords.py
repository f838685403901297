"""Words that renaming leaves alone, for each syntax, which language has which, and names that languages define.

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

# Python 3.13, module `builtins`, without what is often the name of something else (`id`, `input`, `dir`).
_PYTHON_NAMES = """
    abs all any ascii bin bool breakpoint bytearray bytes callable chr classmethod compile complex delattr dict divmod
    enumerate eval exec filter float format frozenset getattr globals hasattr hex int isinstance issubclass iter len
    list locals map max memoryview min next object oct open ord pow print property range repr reversed round set setattr
    slice sorted staticmethod str sum super tuple type zip self cls NotImplemented Ellipsis
    ArithmeticError AssertionError AttributeError BaseException BlockingIOError BrokenPipeError BufferError
    BytesWarning ChildProcessError ConnectionAbortedError ConnectionError ConnectionRefusedError ConnectionResetError
    DeprecationWarning EOFError EnvironmentError Exception ExceptionGroup FileExistsError FileNotFoundError
    FloatingPointError FutureWarning GeneratorExit IOError ImportError ImportWarning IndentationError IndexError
    InterruptedError IsADirectoryError KeyError KeyboardInterrupt LookupError MemoryError ModuleNotFoundError NameError
    NotADirectoryError NotImplementedError OSError OverflowError PendingDeprecationWarning PermissionError
    ProcessLookupError RecursionError ReferenceError ResourceWarning RuntimeError RuntimeWarning StopAsyncIteration
    StopIteration SyntaxError SyntaxWarning SystemError SystemExit TabError TimeoutError TypeError UnboundLocalError
    UnicodeDecodeError UnicodeEncodeError UnicodeError UnicodeTranslateError UnicodeWarning UserWarning ValueError
    Warning ZeroDivisionError
"""
# ECMA-262 chapter 19, what browsers and Node define, and TypeScript's own types.
_SCRIPT_NAMES = """
    Array ArrayBuffer BigInt Boolean Buffer DataView Date Error EvalError Function Infinity JSON Map Math NaN Number
    Object Promise Proxy RangeError ReferenceError Reflect RegExp Set String Symbol SyntaxError TypeError URIError URL
    Uint8Array WeakMap WeakSet clearInterval clearTimeout console decodeURIComponent encodeURIComponent globalThis isNaN
    isFinite parseFloat parseInt require setInterval setTimeout undefined prototype arguments string number never
    Record Partial Readonly Pick Omit
"""
# Java's package java.lang; predeclared names of Go; the prelude, macros and types of Rust; C's library and `std`.
_OTHER_NAMES = """
    AutoCloseable Byte CharSequence Character Class ClassCastException ClassNotFoundException Cloneable Comparable
    Deprecated Double Enum Float FunctionalInterface IllegalArgumentException IllegalStateException
    IndexOutOfBoundsException Integer InterruptedException Iterable Long NullPointerException NumberFormatException
    Override Runnable RuntimeException SafeVarargs Short StringBuffer StringBuilder SuppressWarnings System Thread
    Throwable UnsupportedOperationException Void
    append cap float32 float64 int8 int16 int32 int64 uint uint8 uint16 uint32 uint64 uintptr iota make panic println
    recover rune
    i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 isize usize Box Clone Copy Default Drop Err Fn FnMut FnOnce From
    Into IntoIterator Iterator None Ok Option Result Send Sized Some Sync ToOwned ToString Vec assert_eq assert_ne
    debug_assert derive eprintln unimplemented unreachable writeln todo
    NULL calloc fprintf free int8_t int16_t int32_t int64_t malloc memcmp memcpy memmove memset nullptr_t printf
    ptrdiff_t realloc size_t snprintf sprintf ssize_t std strcmp strlen uint8_t uint16_t uint32_t uint64_t
"""
GIVEN_NAMES = frozenset(f"{_PYTHON_NAMES} {_SCRIPT_NAMES} {_OTHER_NAMES}".split())
"""Names that languages define, whatever the language: renaming cannot touch them."""
