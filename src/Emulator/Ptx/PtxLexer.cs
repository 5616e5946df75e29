namespace KernelAD.Emulator;

/// <summary>Cuts PTX text into tokens (PTX ISA, chapter "Syntax").</summary>
internal static class PtxLexer
{
    /// <summary>Cuts a module's text into tokens, the last of which is <see cref="PtxTokenKind.End"/>.</summary>
    /// <param name="module">The module's name, for errors.</param>
    /// <param name="text">The text.</param>
    public static List<PtxToken> Tokenize(string module, string text)
    {
        List<PtxToken> tokens = [];
        int line = 1;
        int position = 0;
        while (position < text.Length)
        {
            char c = text[position];
            char next = position + 1 < text.Length ? text[position + 1] : '\0';
            int start = position;
            if (c == '\n')
            {
                line++;
                position++;
            }
            else if (char.IsWhiteSpace(c))
            {
                position++;
            }
            else if (c == '/' && next == '/')
            {
                int end = text.IndexOf('\n', position);
                position = end < 0 ? text.Length : end;
            }
            else if (c == '/' && next == '*')
            {
                int end = text.IndexOf("*/", position + 2, StringComparison.Ordinal);
                if (end < 0)
                {
                    throw new PtxException(module, line, "'/*'", "a comment that ends with '*/'");
                }

                line += text.AsSpan(position, end - position).Count('\n');
                position = end + 2;
            }
            else if (c == '"')
            {
                int end = text.IndexOfAny(['"', '\n'], position + 1);
                if (end < 0 || text[end] == '\n')
                {
                    throw new PtxException(module, line, "'\"'", "a text that ends with '\"' on the same line");
                }

                tokens.Add(new(PtxTokenKind.Text, text[(position + 1)..end], line));
                position = end + 1;
            }
            else if (char.IsAsciiDigit(c))
            {
                position = EndOfNumber(text, position);
                tokens.Add(new(PtxTokenKind.Number, text[start..position], line));
            }
            else if (StartsName(c) || (c == '.' && IsNamePart(next)))
            {
                position = EndOfWord(text, position);
                tokens.Add(new(PtxTokenKind.Word, text[start..position], line));
            }
            else if ("{}()[]<>,;:+-!@|=*&~^?".Contains(c, StringComparison.Ordinal))
            {
                tokens.Add(new(PtxTokenKind.Punctuation, c.ToString(), line));
                position++;
            }
            else
            {
                throw new PtxException(module, line, $"the character U+{(int)c:X4}", "PTX");
            }
        }

        tokens.Add(new(PtxTokenKind.End, "", line));
        return tokens;
    }

    private static bool StartsName(char c) => char.IsAsciiLetter(c) || c is '_' or '$' or '%';

    private static bool IsNamePart(char c) => char.IsAsciiLetterOrDigit(c) || c is '_' or '$';

    /// <summary>A word's parts are joined by dots, and by double colons as in <c>L2::128B</c>.</summary>
    private static int EndOfWord(string text, int position)
    {
        position++;
        while (position < text.Length)
        {
            if (IsNamePart(text[position]))
            {
                position++;
            }
            else if (text[position] == '.' && position + 1 < text.Length && IsNamePart(text[position + 1]))
            {
                position += 2;
            }
            else if (position + 2 < text.Length && text[position] == ':' && text[position + 1] == ':' && IsNamePart(text[position + 2]))
            {
                position += 3;
            }
            else
            {
                break;
            }
        }

        return position;
    }

    private static int EndOfNumber(string text, int position)
    {
        while (position < text.Length && (char.IsAsciiLetterOrDigit(text[position]) || text[position] == '.'
            || (text[position] is '+' or '-' && text[position - 1] is 'e' or 'E' && IsDecimal(text, position))))
        {
            position++;
        }

        return position;
    }

    /// <summary>Whether the number that a sign would continue is a decimal one with an exponent, and not hexadecimal like <c>0x1e+4</c>.</summary>
    private static bool IsDecimal(string text, int position)
    {
        int start = position - 1;
        while (start > 0 && (char.IsAsciiLetterOrDigit(text[start - 1]) || text[start - 1] == '.'))
        {
            start--;
        }

        return !(text[start] == '0' && start + 1 < position && text[start + 1] is 'x' or 'X' or 'f' or 'F' or 'd' or 'D');
    }
}
