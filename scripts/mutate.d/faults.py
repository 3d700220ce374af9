# SPDX-License-Identifier: GPL-2.0
"""Faults of one line each, made mechanically from the driver's source.

usage: faults.py list SOURCE           all of them as JSON, in the order of the source
       faults.py one SOURCE ID         the source with that fault
       faults.py all SOURCE [WITHOUT]  the source with all of them but those whose
                                       ids are in the file WITHOUT; rcar_mutant=N on
                                       the kernel's command line selects number N

A fault is known by a hash of its function and its text, so that it keeps its id
when something else is edited. The source has to be in the kernel's coding style
and is parsed as far as faults are made from it: macros, functions, and tables of
functions. What the parser does not know ends it.
"""
import hashlib
import json
import re
import sys

FILE = "drivers/dma-buf/heaps/rcar_cma_heap.c"  # how the compiler should name it

TOKEN = re.compile(r"""
    (?P<space>\s+|/\*.*?\*/|//[^\n]*)
  | (?P<directive>(?<![^\n])\#(?:[^\n\\]|\\.)*)
  | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<number>\d\w*)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<op><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[][(){}<>=!~?:;,.+*/%&|^-])
""", re.X | re.S)

BINARY = {op: level for level, ops in enumerate(
    ("||", "&&", "|", "^", "&", "== !=", "< <= > >=", "<< >>", "+ -", "* / %"))
    for op in ops.split()}
ASSIGN = {"=", "+=", "-=", "|=", "&=", "*=", "/=", "<<=", ">>=", "^=", "%="}
TYPES = {"struct", "enum", "union", "const", "static", "unsigned", "signed", "int",
         "long", "short", "char", "void", "bool", "u8", "u16", "u32", "u64"}

BOUNDARY = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
EQUALITY = {"==": "!=", "!=": "=="}
OTHER = {"+": "-", "-": "+", "*": "/", "/": "*", "<<": ">>", ">>": "<<", "&": "|",
         "&&": "||", "||": "&&", "+=": "-=", "-=": "+=", "++": "--", "--": "++"}
# Flags that 0 would not change, or not make a fault of
FLAGS = {"true": "false", "false": "true", "DMA_BIDIRECTIONAL": "DMA_TO_DEVICE",
         "DMA_FROM_DEVICE": "DMA_TO_DEVICE", "DMA_TO_DEVICE": "DMA_FROM_DEVICE"}
SIZE = re.compile(r"SZ_\w+|PAGE_SIZE|\w+_BYTES")
MESSAGE = re.compile(r"(pr|dev)_(err|warn|info|notice|dbg)")
CALLS = (("unlock", "unlock"), ("lock", "_lock"), ("free", "free|put|release|unmap"))


class Token:
    def __init__(self, kind, text, start):
        self.kind, self.text, self.start, self.end = kind, text, start, start + len(text)


class Node:
    """An expression or statement, from one place of the source to another."""

    def __init__(self, kind, start, end, op=None, parts=()):
        self.kind, self.start, self.end, self.op, self.parts = kind, start, end, op, parts


class Fault:
    """The text from start to end becomes new.

    how: "value", of an expression; "statement", left out; "entry", of a table in
    file scope, left out.
    """

    def __init__(self, kind, how, start, end, new, function):
        self.kind, self.how, self.start, self.end = kind, how, start, end
        self.new, self.function = new, function


def tokenize(text, base=0):
    at, tokens = 0, []
    while at < len(text):
        match = TOKEN.match(text, at)
        if not match:
            raise SyntaxError(f"what is {text[at:at + 20]!r}")
        if match.lastgroup != "space":
            tokens.append(Token(match.lastgroup, match.group(), base + at))
        at = match.end()
    return tokens


class Parser:
    """Expressions and statements out of a list of tokens."""

    def __init__(self, tokens, at=0):
        self.tokens, self.at = tokens, at

    def peek(self, ahead=0):
        at = self.at + ahead
        return self.tokens[at].text if at < len(self.tokens) else ""

    def kind(self, ahead=0):
        at = self.at + ahead
        return self.tokens[at].kind if at < len(self.tokens) else ""

    def take(self, *wanted):
        token = self.tokens[self.at]
        if wanted and token.text not in wanted:
            raise SyntaxError(f"{token.text!r} at offset {token.start}, wanted {wanted}")
        self.at += 1
        return token

    def node(self, kind, start, op=None, parts=()):
        return Node(kind, start, self.tokens[self.at - 1].end, op, parts)

    # ---- expressions ----

    def expression(self):
        left = self.conditional()
        if self.peek() not in ASSIGN:
            return left
        op = self.take().text
        return self.node("assign", left.start, op, (left, self.expression()))

    def conditional(self):
        condition = self.binary(0)
        if self.peek() != "?":
            return condition
        self.take("?")
        yes = self.expression()
        self.take(":")
        return self.node("choice", condition.start, None, (condition, yes, self.conditional()))

    def binary(self, level):
        left = self.unary()
        while BINARY.get(self.peek(), -1) >= level:
            op = self.take().text
            right = self.binary(BINARY[op] + 1)
            left = self.node("binary", left.start, op, (left, right))
        return left

    def unary(self):
        start = self.tokens[self.at].start
        if self.peek() in ("!", "-", "~", "*", "&", "++", "--"):
            op = self.take().text
            return self.node("unary", start, op, (self.unary(),))
        if self.peek() == "sizeof":
            self.take()
            self.skip("(", ")")
            return self.node("sizeof", start)
        if self.peek() == "(" and self.peek(1) in TYPES:
            while self.take().text != ")":
                pass
            return self.node("cast", start, None, (self.unary(),))
        return self.postfix()

    def postfix(self):
        start = self.tokens[self.at].start
        value = self.primary()
        while True:
            if self.peek() == "(":
                self.take()
                parts = [value]
                while self.peek() != ")":
                    parts.append(self.expression())
                    if self.peek() != ")":
                        self.take(",")
                self.take(")")
                value = self.node("call", start, None, parts)
            elif self.peek() == "[":
                self.take()
                index = self.expression()
                self.take("]")
                value = self.node("index", start, None, (value, index))
            elif self.peek() in (".", "->"):
                self.take()
                self.take()
                value = self.node("member", start, None, (value,))
            elif self.peek() in ("++", "--"):
                value = self.node("step", start, self.take().text, (value,))
            else:
                return value

    def primary(self):
        start = self.tokens[self.at].start
        if self.peek() == "(":
            self.take()
            inner = self.expression()
            self.take(")")
            if self.kind() in ("name", "number", "string"):
                raise SyntaxError(f"a cast to a named type at offset {start}")
            return self.node("parens", start, None, (inner,))
        kind = self.take().kind
        if kind == "op":
            raise SyntaxError(f"{self.tokens[self.at - 1].text!r} at offset {start}")
        if kind == "string" or self.kind() == "string":
            while self.kind() in ("string", "name"):
                self.take()
            kind = "string"
        return self.node(kind, start)

    def skip(self, opening, closing):
        depth = 0
        while True:
            text = self.take().text
            depth += (text == opening) - (text == closing)
            if not depth:
                return

    # ---- statements ----

    def statement(self):
        start = self.tokens[self.at].start
        word = self.peek()
        if word == "{":
            return self.block()
        if word in ("if", "while") or word.startswith("for_each_"):
            self.take()
            self.take("(")
            if word in ("if", "while"):
                parts = [self.expression()]
                self.take(")")
            else:
                parts = []
                self.at -= 1
                self.skip("(", ")")
            parts.append(self.statement())
            if word == "if" and self.peek() == "else":
                self.take()
                parts.append(self.statement())
            return self.node("loop" if word.startswith("for_") else word, start, None, parts)
        if word == "for":
            self.take()
            self.take("(")
            first = self.node("nothing", start) if self.peek() == ";" else self.expression()
            self.take(";")
            condition = self.expression()
            self.take(";")
            step = self.expression()
            self.take(")")
            return self.node("for", start, None, (condition, first, step, self.statement()))
        if word == "return":
            self.take()
            parts = [] if self.peek() == ";" else [self.expression()]
            self.take(";")
            return self.node("return", start, None, parts)
        if word in ("goto", "break", "continue"):
            while self.take().text != ";":
                pass
            return self.node("jump", start)
        if word in ("do", "switch", "case", "asm", "else"):
            raise SyntaxError(f"{word} at offset {start}")
        if self.kind() == "name" and self.peek(1) == ":":
            self.take()
            self.take()
            return self.node("label", start)
        if word in TYPES or word.endswith("_t") or self.kind(1) == "name":
            return self.declaration()
        value = self.expression()
        self.take(";")
        return self.node("expression", start, None, (value,))

    def block(self):
        start = self.take("{").start
        parts = []
        while self.peek() != "}":
            parts.append(self.statement())
        self.take("}")
        return self.node("block", start, None, parts)

    def declaration(self):
        start, parts = self.tokens[self.at].start, []
        while self.peek() != ";":
            if self.take().text != "=":
                continue
            parts.append(self.table() if self.peek() == "{" else self.expression())
        self.take(";")
        return self.node("declaration", start, None, parts)

    def table(self):
        """A braced initialiser: its entries, each with the value as its part."""
        start, parts = self.take("{").start, []
        while self.peek() != "}":
            if self.kind() == "directive":
                self.take()
                continue
            entry = self.tokens[self.at].start
            if self.peek() == "{":
                self.skip("{", "}")
                value = None
            else:
                name = self.tokens[self.at + 1].text
                self.take(".")
                self.take()
                self.take("=")
                value = self.table() if self.peek() == "{" else self.expression()
            if self.peek() == ",":
                self.take()
            if value:
                parts.append(self.node("entry", entry, name, (value,)))
        self.take("}")
        return self.node("table", start, None, parts)


class Maker:
    """All faults of a source."""

    def __init__(self, text):
        self.text = text
        self.faults = []
        self.left_out = {}  # what no fault is made of, counted
        self.function, self.type = "", ""
        self.strings = set()  # macros that are strings
        self.run(tokenize(text))

    def source(self, node):
        return self.text[node.start:node.end]

    def add(self, kind, how, node, new):
        self.faults.append(Fault(kind, how, node.start, node.end, new, self.function))

    def value(self, kind, node, new):
        self.add(kind, "value", node, new)

    def leave_out(self, what):
        self.left_out[what] = self.left_out.get(what, 0) + 1

    # ---- the file ----

    def run(self, tokens):
        parser, head = Parser(tokens), []
        while parser.at < len(tokens):
            token = tokens[parser.at]
            if token.kind == "directive":
                self.directive(token)
                parser.take()
            elif token.text == "{":
                self.definition(parser, head)
                head = []
            else:
                head = [] if token.text == ";" else head + [token.text]
                parser.take()

    def directive(self, token):
        """#define NAME EXPRESSION"""
        match = re.match(r"#define\s+(\w+)\s+(?=\S)", token.text)
        if not match:
            return
        tokens = tokenize(token.text[match.end():], token.start + match.end())
        if tokens[0].kind == "string":
            self.strings.add(match.group(1))
            return
        self.function = match.group(1)
        self.expression(Parser(tokens).expression())

    def definition(self, parser, head):
        if "=" in head:
            self.function = head[head.index("=") - 1]
            if self.function == "]":
                parser.skip("{", "}")
                self.leave_out("entries of the match table")
            else:
                self.file_table(parser.table())
        elif head[-1] == ")":
            opening = head.index("(")
            self.function, kind = head[opening - 1], head[:opening - 1]
            self.type = "pointer" if "*" in kind else "bool" if "bool" in kind else \
                "void" if "void" in kind else "integer"
            self.statement(parser.block())
        else:
            parser.skip("{", "}")

    def file_table(self, table):
        for entry in table.parts:
            value = entry.parts[0]
            if value.kind == "table":
                for _ in value.parts:
                    self.leave_out("entries of tables that are no function")
            elif value.kind == "name":
                self.add("entry", "entry", entry, "")
            else:
                self.leave_out("entries of tables that are no function")

    # ---- statements ----

    def statement(self, node):
        if node.kind == "return":
            if node.parts:
                self.returned(node.parts[0])
        elif node.kind == "jump":
            self.add("jump", "statement", node, ";")
        elif node.kind == "expression":
            self.effect(node, node.parts[0])
        elif node.kind == "declaration":
            for value in node.parts:
                self.initial(value)
        elif node.kind == "for":
            self.condition(node.parts[0])
            self.expression(node.parts[1])
            self.expression(node.parts[2])
            self.statement(node.parts[3])
        elif node.kind in ("if", "while"):
            self.condition(node.parts[0])
            for part in node.parts[1:]:
                self.statement(part)
        else:
            for part in node.parts:
                self.statement(part)

    def effect(self, node, value):
        """A statement that is there for what it does: it is left out."""
        if value.kind == "assign":
            self.add("assignment", "statement", node, ";")
        elif value.kind == "call":
            name = self.source(value.parts[0])
            if MESSAGE.match(name):
                self.leave_out("messages left out")
            else:
                kind = next((k for k, words in CALLS if re.search(words, name)), "call")
                self.add(kind, "statement", node, ";")
        self.expression(value)

    def initial(self, value):
        if value.kind != "table":
            self.expression(value)
            return
        for entry in value.parts:
            inner = entry.parts[0]
            self.add("entry", "value", inner, "0")
            self.expression(inner)

    def returned(self, value):
        text = self.source(value)
        if self.type == "bool" and text not in FLAGS:
            self.condition(value)
            return
        if self.type == "bool":
            self.value("return", value, FLAGS[text])
            return
        if self.type == "pointer":
            self.value("return", value, "ERR_PTR(-EIO)" if text == "NULL" else "NULL")
        else:
            self.value("return", value, "-EIO" if text == "0" else "0")
        if text != "0":
            self.expression(value)

    # ---- expressions ----

    def negated(self, node):
        text = self.source(node)
        if node.kind == "unary" and node.op == "!":
            return self.source(node.parts[0])
        if node.kind == "binary" and node.op in EQUALITY:
            return self.with_op(node, EQUALITY[node.op])
        return f"!({text})" if node.kind in ("binary", "choice") else f"!{text}"

    def with_op(self, node, op):
        return f"{self.source(node.parts[0])} {op} {self.source(node.parts[1])}"

    def condition(self, node, operand=False):
        """An expression of which only counts whether it is 0; of another one, maybe."""
        if node.kind == "parens":
            self.condition(node.parts[0])
            return
        self.value("condition", node, self.negated(node))
        if node.kind == "binary" and node.op in ("&&", "||"):
            self.logic(node, operand)
        else:
            self.expression(node, negate=False)

    def logic(self, node, operand):
        op = OTHER[node.op]
        # Of three operands the first two are a part, which gcc wants in parentheses.
        left, right = (f"({self.source(part)})" if part.op == node.op else self.source(part)
                       for part in node.parts)
        new = f"{left} {op} {right}"
        self.value("logic", node, f"({new})" if operand else new)
        for part, other in (node.parts, node.parts[::-1]):
            self.value("operand", node, self.source(other))
            self.condition(part, operand=True)

    def expression(self, node, negate=True):
        if node.kind == "binary":
            self.operation(node, negate)
        elif node.kind == "unary":
            self.unary(node, negate)
        elif node.kind == "choice":
            self.condition(node.parts[0])
            self.expression(node.parts[1])
            self.expression(node.parts[2])
        elif node.kind == "assign":
            if node.op in OTHER:
                self.value("arithmetic", node, self.with_op(node, OTHER[node.op]))
            self.expression(node.parts[1])
        elif node.kind == "step":
            self.value("arithmetic", node, self.source(node.parts[0]) + OTHER[node.op])
        elif node.kind == "call":
            if self.source(node.parts[0]) != "IS_ENABLED":
                for part in node.parts[1:]:
                    self.expression(part)
        elif node.kind in ("index", "parens"):
            self.expression(node.parts[-1])
        elif node.kind == "number":
            self.number(node)
        elif node.kind == "name":
            self.constant(node)

    def operation(self, node, negate):
        if node.op in ("&&", "||"):
            self.logic(node, operand=True)
            return
        if node.op in BOUNDARY:
            self.value("bound", node, self.with_op(node, BOUNDARY[node.op]))
        elif node.op in EQUALITY and negate:
            self.value("condition", node, self.negated(node))
        elif node.op in OTHER:
            self.value("arithmetic", node, self.with_op(node, OTHER[node.op]))
        for part, other in (node.parts, node.parts[::-1]):
            if node.op == "|":
                self.value("flag", node, self.source(other))
            if node.op != "|" or part.kind != "name":
                self.expression(part)

    def unary(self, node, negate):
        text = self.source(node.parts[0])
        if node.op == "-" and re.fullmatch(r"E[A-Z0-9]+", text):
            self.value("errno", node, "-EIO")
        elif node.op == "!" and negate:
            self.condition(node)
        elif node.op == "!":
            self.expression(node.parts[0], negate=False)
        else:
            self.expression(node.parts[0])

    def number(self, node):
        number = int(self.source(node), 0)
        self.value("bound", node, str(number + 1))
        if number:
            self.value("bound", node, str(number - 1))

    def constant(self, node):
        name = self.source(node)
        if name in FLAGS:
            self.value("flag", node, FLAGS[name])
        elif name in self.strings or name == "NULL" or not re.fullmatch(r"[A-Z][A-Z0-9_]+", name):
            return
        elif name.endswith("_SHIFT"):
            self.value("bound", node, f"({name} + 1)")
        elif SIZE.fullmatch(name):
            self.value("bound", node, f"({name} * 2)")
            self.value("bound", node, f"({name} / 2)")
        else:
            self.value("flag", node, "0")


class Source:
    def __init__(self, text):
        self.text = text
        maker = Maker(text)
        self.left_out = maker.left_out
        self.faults, seen, count = [], set(), {}
        for fault in sorted(maker.faults, key=lambda f: (f.start, -f.end)):
            key = (fault.start, fault.end, fault.new)
            if key in seen:
                continue
            seen.add(key)
            self.describe(fault)
            words = "\n".join((fault.function, fault.kind, fault.old, fault.now))
            count[words] = count.get(words, 0) + 1
            fault.id = hashlib.sha256(f"{words}\n{count[words]}".encode()).hexdigest()[:8]
            self.faults.append(fault)
            fault.number = len(self.faults)
        if len({f.id for f in self.faults}) != len(self.faults):
            raise ValueError("two faults have the same id")

    def describe(self, fault):
        """The lines that it concerns, as they were and as they are then."""
        first = self.text.rfind("\n", 0, fault.start) + 1
        last = self.text.index("\n", fault.end)
        fault.line = self.text.count("\n", 0, fault.start) + 1
        fault.last = self.text.count("\n", 0, fault.end) + 1
        fault.old = " ".join(self.text[first:last].split())
        fault.now = " ".join((self.text[first:fault.start] + fault.new +
                              self.text[fault.end:last]).split())

    def find(self, name):
        fault = next((f for f in self.faults if f.id == name), None)
        if not fault:
            raise ValueError(f"no fault has the id {name}")
        return fault

    def one(self, fault):
        return self.text[:fault.start] + fault.new + self.text[fault.end:]

    def all(self, without):
        """Each fault behind a condition, around what it concerns."""
        before, after, entries = {}, {}, []
        # The outer ones come first in the list, and have to open first and to
        # close last.
        for fault in self.faults:
            if fault.id in without:
                continue
            opening, closing = self.guard(fault, entries)
            before[fault.start] = before.get(fault.start, "") + opening
            after[fault.end] = closing + after.get(fault.end, "")
        text = self.text
        for table in {f.function for f in self.faults if f.how == "entry"}:
            # As long as before, so that no offset moves
            text = re.sub(rf"\bconst( struct \w+ {table} =)", r"     \1", text)
        out, at = [], 0
        for place in sorted({*before, *after}):
            out += [text[at:place], after.get(place, ""), before.get(place, "")]
            at = place
        return HEAD + "".join(out) + text[at:] + TAIL.format("\n".join(entries))

    def guard(self, fault, entries):
        number = fault.number
        if fault.how == "value":
            new = " ".join(fault.new.split())
            truth = "!!" if fault.kind in ("condition", "logic", "operand") else ""
            return f"(mutant({number}) ? {truth}({new}) : {truth}(", "))"
        if fault.how == "statement":
            return f"{{ if (!mutant({number})) ", " }"
        field = self.text[fault.start:fault.end].split()[0]
        entries.append(f"\tif (mutant({number}))\n\t\t{fault.function}{field} = NULL;")
        return "", ""


HEAD = f"""static int rcar_mutant;
#define mutant(number) (rcar_mutant == (number))
#line 1 "{FILE}"
"""

TAIL = """
static int __init rcar_mutant_setup(char *arg)
{{
	int ret = kstrtoint(arg, 10, &rcar_mutant);

{}
	printk(KERN_NOTICE "mutant %d\\n", rcar_mutant);

	return ret;
}}
early_param("rcar_mutant", rcar_mutant_setup);
"""


def main(verb, path, *rest):
    with open(path, encoding="utf-8") as file:
        source = Source(file.read())
    if verb == "list":
        json.dump({"faults": [{"id": f.id, "number": f.number, "line": f.line, "last": f.last,
                               "kind": f.kind, "function": f.function, "old": f.old,
                               "new": f.now}
                              for f in source.faults],
                   "left_out": source.left_out}, sys.stdout, indent=1)
        print()
    elif verb == "one":
        sys.stdout.write(source.one(source.find(*rest)))
    elif verb == "all":
        without = set()
        for name in rest:
            with open(name, encoding="utf-8") as file:
                without = set(file.read().split())
        sys.stdout.write(source.all(without))
    else:
        raise ValueError(f"no verb {verb}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    try:
        main(*sys.argv[1:])
    except (SyntaxError, ValueError) as error:
        sys.exit(f"faults.py: {error}")
