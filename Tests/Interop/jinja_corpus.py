#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes and checks the template corpus, whose expected results come from the real Jinja2.

usage: jinja_corpus.py            write Tests/Corpora/templates/{handwritten,generated}.jsonl
       jinja_corpus.py --check    compare the committed files with what the installed Jinja2 gives

Each line is {"name", "template", "autoescape", "expected"} or, where Jinja2 raises, "error": true instead of "expected".
All are rendered with the fields of context.json, whose values are tagged so that order and kind survive: ["s", text],
["i", integer], ["f", repr], ["b", truth], ["n"], ["d", ISO date and time], ["l", [values]], ["m", [[name, value], ...]].
"""

import datetime
import json
import pathlib
import random
import sys

import jinja2

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "Corpora" / "templates"
SEED = 20261123
GENERATED = 900


def date_filter(value, format="%Y-%m-%d"):
    if value is None or isinstance(value, jinja2.Undefined):
        return ""
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    return value.strftime(str(format))


def environment(autoescape):
    made = jinja2.Environment(autoescape=autoescape, undefined=jinja2.ChainableUndefined)
    made.filters["date"] = date_filter
    made.filters["strftime"] = date_filter
    return made


ENVIRONMENTS = {truth: environment(truth) for truth in (True, False)}


def tagged(value):
    if value is None:
        return ["n"]
    if isinstance(value, bool):
        return ["b", value]
    if isinstance(value, int):
        return ["i", value]
    if isinstance(value, float):
        return ["f", repr(value)]
    if isinstance(value, str):
        return ["s", value]
    if isinstance(value, datetime.datetime):
        return ["d", value.isoformat()]
    if isinstance(value, list):
        return ["l", [tagged(item) for item in value]]
    if isinstance(value, dict):
        return ["m", [[name, tagged(item)] for name, item in value.items()]]
    raise TypeError(value)


def untagged(value):
    kind = value[0]
    if kind == "n":
        return None
    if kind == "f":
        return float(value[1])
    if kind == "d":
        return datetime.datetime.fromisoformat(value[1])
    if kind == "l":
        return [untagged(item) for item in value[1]]
    if kind == "m":
        return {name: untagged(item) for name, item in value[1]}
    return value[1]


def outcome(template, context, autoescape):
    try:
        made = ENVIRONMENTS[autoescape].from_string(template).render(context)
        return {"expected": made}
    except Exception:
        return {"error": True}


def entry(name, template, autoescape):
    line = {"name": name, "template": template, "autoescape": autoescape}
    line.update(outcome(template, CONTEXT, autoescape))
    return line


# --- Templates written by hand -----------------------------------------------------------------------------------

WHEN = datetime.datetime(2026, 3, 9, 15, 4, 5)
CONTEXT = {
    "name": "Ada",
    "full": "ada lovelace-byron",
    "html": "<b>Tom & 'Jerry' \"x\"</b>",
    "empty": "",
    "blank": "  \t padded \n ",
    "accents": "ÉLAN vital à la crème",
    "emoji": "naïve 🎉 straße",
    "count": 3,
    "zero": 0,
    "negative": -7,
    "price": 1234.5,
    "tiny": 0.00001,
    "huge": 1e22,
    "third": 1 / 3,
    "yes": True,
    "no": False,
    "nothing": None,
    "when": WHEN,
    "items": ["pear", "Apple", "fig"],
    "numbers": [3, 1, 2],
    "mixed": [1, "two", 3.5, None, True, ["x"]],
    "void": [],
    "single": ["only"],
    "user": {"first": "Grace", "last": "Hopper", "address": {"city": "New York", "zip": "10001"}, "n": 5},
    "orders": [
        {"id": 7, "title": "Book & Co", "price": 12.5, "qty": 2},
        {"id": 3, "title": "Pen", "price": 0.99, "qty": 10},
        {"id": 5, "title": "<Ink>", "price": 3.0, "qty": 1},
    ],
    "pairs": [["a", 1], ["b", 2]],
    "_private": "underscore",
    "text": "The quick brown fox jumps over the lazy dog and runs away from it",
    "quote": "it's",
    "lines": "one\ntwo\r\nthree",
    "number_text": " 42 ",
    "float_text": "3.75",
}

HANDWRITTEN = r"""
plain text
Hello {{ name }}!
{{name}}{{ name }}{{  name  }}
{{ missing }}|{{ missing.attribute }}|{{ missing['a']['b'] }}
{{ html }}
{{ html|e }}
{{ html|safe }}
{{ html|escape|escape }}
{{ html|forceescape }}
{{ html|safe|forceescape }}
{{ "<i>" }}
{{ '<i>'|safe }}
{{ html ~ '<br>' }}
{{ html ~ '<br>'|safe }}
{{ html + '<br>'|safe }}
{{ '<br>'|safe + html }}
{{ ['<a>', '<b>'|safe]|join('<c>') }}
{{ ['<a>', '<b>']|join('<c>') }}
{{ ['<a>', '<b>']|join('<c>'|safe) }}
{{ html|replace('b', '<u>') }}
{{ html|safe|replace('b', '<u>') }}
{{ html|replace('b'|safe, '<u>') }}
{{ html|upper }}
{{ html|safe|upper }}
{{ html|safe|title }}
{{ html|safe|capitalize }}
{{ html|striptags }}
{{ '<p>A &amp; B</p><!-- gone <b> -->  C&nbsp;&euro;&#65;&#x42;'|striptags }}
{{ html|length }}
{{ html|safe|first }}{{ html|safe|last }}
{{ html|safe|reverse }}
{{ html|truncate(5, true) }}
{{ '%s and %s'|format(html, name) }}
{{ '%s and %s'|safe|format(html, name) }}
{{ '<%s>' % name }}
{{ count }} {{ zero }} {{ negative }} {{ price }} {{ tiny }} {{ huge }} {{ third }}
{{ yes }} {{ no }} {{ nothing }}
{{ when }}
{{ items }}
{{ mixed }}
{{ user }}
{{ pairs }}
{{ void }} {{ single }}
{{ [when] }}
{{ {'a': 1, 2: [3]} }}
{{ (1,) }} {{ (1, 2) }} {{ 1, 2 }} {{ () }}
{{ [missing] }}
{{ [html|safe] }}
{{ ["it's", 'say "x"', "both ' and \"", "tab\there", "é", "\x00\x7f\u200b"] }}
{{ user.first }} {{ user['last'] }} {{ user.address.city }} {{ user["address"]["zip"] }}
{{ items[0] }} {{ items[-1] }} {{ items[9] }} {{ items.1 }}
{{ name[0] }} {{ name[-1] }} {{ name[7] }} {{ emoji[6] }}
{{ items[1:] }} {{ items[:1] }} {{ items[::2] }} {{ items[::-1] }} {{ name[1:] }} {{ emoji[::-1] }} {{ items[-2:9] }}
{{ name[:2] }}{{ name[5:] }}{{ text[4:9] }}
{{ orders[0].title }} {{ orders[1]['price'] }}
{{ name|upper }} {{ name|lower }} {{ full|title }} {{ full|capitalize }}
{{ accents|upper }} {{ accents|lower }} {{ accents|title }} {{ accents|capitalize }} {{ emoji|upper }}
{{ "o'neil mc-donald (x) [y] {z} <w> a.b a_b 3rd"|title }}
{{ blank|trim }}|{{ 'xxabcxx'|trim('x') }}|{{ '\u00a0 a \u2003'|trim }}|
{{ empty|trim }}|{{ missing|trim }}|{{ 5|trim }}
{{ name|replace('A', 'B') }} {{ 'aaaa'|replace('a', 'b', 2) }} {{ 'abc'|replace('', '-') }} {{ 'abc'|replace('b','') }}
{{ items|join(', ') }} {{ items|join }} {{ numbers|join('-') }} {{ mixed|join('|') }} {{ void|join(',') }}
{{ orders|join(', ', attribute='title') }} {{ orders|join(' / ', 'id') }}
{{ name|join('.') }} {{ user|join(',') }}
{{ items|length }} {{ name|length }} {{ emoji|length }} {{ user|count }} {{ void|length }} {{ missing|length }}
{{ items|first }} {{ items|last }} {{ name|first }} {{ name|last }} {{ void|first }} {{ void|last }} {{ user|first }}
{{ missing|default('x') }} {{ empty|default('x') }} {{ empty|default('x', true) }} {{ empty|d('x', boolean=true) }}
{{ nothing|default('x') }} {{ nothing|default('x', true) }} {{ zero|default(5, true) }} {{ missing|d }} {{ missing.deep|d(1) }}
{{ missing|default(name) }} {{ missing|default('<b>') }} {{ missing|default(default_value=2) }}
{{ when|date }} {{ when|date('%d/%m/%Y') }} {{ when|strftime('%H:%M:%S') }} {{ when|date('%A %a %B %b %j %p %I %y %%') }}
{{ when.strftime('%Y') }} {{ when.year }} {{ when.month }} {{ when.day }} {{ when.hour }} {{ when.minute }} {{ when.second }} {{ when.isoformat() }}
{{ '2026-01-02'|date('%d.%m.%y') }} {{ '2026-01-02 03:04:05'|date('%H-%M') }} {{ missing|date }} {{ nothing|date('%Y') }}
{{ when|date('%-d %-m %-H %e %u %w') }}
{{ text|urlencode }} {{ 'a/b?c=d&e=é ~_-.'|urlencode }} {{ {'a b': 'c/d', 'e': 5}|urlencode }} {{ pairs|urlencode }} {{ 5|urlencode }}
{{ price|round }} {{ 2.5|round }} {{ 3.5|round }} {{ 2.675|round(2) }} {{ 42|round }} {{ 1234.567|round(-2) }} {{ 1.1|round(1, 'ceil') }} {{ 1.19|round(1, 'floor') }} {{ -2.5|round }}
{{ 42.55|round|int }} {{ 42.9|round(method='floor') }} {{ 15|round(-1) }} {{ 25|round(-1) }}
{{ '42'|int }} {{ ' 42 '|int }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ '3.9'|int }} {{ 3.9|int }} {{ -3.9|int }} {{ '1_000'|int }} {{ true|int }} {{ nothing|int }} {{ 'ff'|int(0, 16) }} {{ '0x1f'|int(base=16) }} {{ 'inf'|int }} {{ 'nan'|int(5) }} {{ ''|int }} {{ items|int }}
{{ '3.5'|float }} {{ 3|float }} {{ 'x'|float }} {{ 'x'|float(1.5) }} {{ '1e3'|float }} {{ 'inf'|float }} {{ '-inf'|float }} {{ 'nan'|float }} {{ '.5'|float }} {{ '5.'|float }} {{ '1__0'|float }} {{ '-'|float }}
{{ 5|string }} {{ 5.0|string ~ 'x' }} {{ items|string }} {{ nothing|string|length }}
{{ negative|abs }} {{ -1.5|abs }} {{ true|abs }}
{{ name|list }} {{ items|list }} {{ user|list }} {{ missing|list }}
{{ items|sort }} {{ numbers|sort }} {{ items|sort(reverse=true) }} {{ items|sort(case_sensitive=true) }} {{ orders|sort(attribute='price')|join(',', 'id') }} {{ name|sort }} {{ user|sort }}
{{ items|reverse|list }} {{ name|reverse }} {{ emoji|reverse }}
{{ text|truncate(20) }} {{ text|truncate(20, true) }} {{ text|truncate(20, false, '') }} {{ text|truncate(20, end='…') }} {{ text|truncate }} {{ text|truncate(60) }} {{ text|truncate(62, leeway=0) }} {{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(11) }} {{ 'foo bar baz qux'|truncate(11, False, '...', 0) }} {{ 'supercalifragilistic'|truncate(8) }}
{{ text|wordcount }} {{ 'a-b c_d é1  x'|wordcount }} {{ ''|wordcount }}
{{ numbers|sum }} {{ orders|sum(attribute='price') }} {{ orders|sum('qty', 100) }} {{ numbers|min }} {{ numbers|max }} {{ items|min }} {{ items|max }} {{ void|max }} {{ orders|max(attribute='price') }}
{{ ['a', 'A', 'b', 'a']|unique|list }} {{ ['a', 'A']|unique(true)|list }}
{{ user|items|list }} {{ missing|items|list }}
{{ 'ab'|center(7) }}|{{ 'abc'|center(8) }}|{{ 'abc'|center(2) }}|{{ 'abcd'|center(7) }}|
{{ 1 + 2 }} {{ 1 - 2 }} {{ 2 * 3 }} {{ 7 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 2 ** 10 }} {{ 2 ** -1 }} {{ 2 ** 3 ** 2 }} {{ -2 ** 2 }}
{{ 1.5 + 1 }} {{ 0.1 + 0.2 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }} {{ 1e3 }} {{ 1_000 }} {{ 0x1F }} {{ 0b101 }} {{ 0o17 }} {{ 1.5e-7 }} {{ 6 / 3 }} {{ 2.0 ** 0.5 }}
{{ true + 1 }} {{ -true }} {{ +5 }} {{ - 5 }} {{ 1--1 }}
{{ 'a' + 'b' }} {{ 'ab' * 3 }} {{ 3 * 'ab' }} {{ [1] + [2] }} {{ [1, 2] * 2 }} {{ 'a' ~ 1 ~ none ~ true ~ 1.0 }} {{ 'x' * -1 }}|
{{ count > 2 }} {{ count >= 3 }} {{ count < 3 }} {{ count <= 2 }} {{ count == 3 }} {{ count != 3 }} {{ count == 3.0 }} {{ '3' == 3 }} {{ 1 == true }} {{ none == false }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 'a' < 'b' }} {{ [1,2] < [1,3] }} {{ 'Z' < 'a' }}
{{ yes and name }} {{ no and name }} {{ no or name }} {{ yes or name }} {{ not yes }} {{ not void }} {{ not not 5 }} {{ no or zero or empty }}| {{ missing or 'fallback' }} {{ yes and no or name }}
{{ 'a' in 'abc' }} {{ 'x' not in 'abc' }} {{ 1 in numbers }} {{ 9 in numbers }} {{ 'first' in user }} {{ 'x' in missing }} {{ not 1 in numbers }} {{ 'fig' in items and 'pear' in items }} {{ '' in 'abc' }}
{{ 'yes' if yes else 'no' }} {{ 'yes' if no else 'no' }} {{ 'yes' if no }}| {{ 'a' if no else 'b' if no else 'c' }} {{ ('x' if yes) ~ 'y' }}
{{ name is defined }} {{ missing is defined }} {{ missing is undefined }} {{ missing.x is defined }} {{ user.first is defined }} {{ user.zzz is defined }} {{ nothing is none }} {{ nothing is defined }} {{ name is not none }}
{{ name is string }} {{ count is number }} {{ price is number }} {{ yes is number }} {{ name is number }} {{ count is integer }} {{ price is float }} {{ yes is boolean }} {{ user is mapping }} {{ items is sequence }} {{ items is iterable }} {{ count is iterable }} {{ name is sequence }}
{{ count is even }} {{ count is odd }} {{ 4 is even }} {{ 9 is divisibleby 3 }} {{ 9 is divisibleby(2) }} {{ 3 is not even }} {{ none is sameas none }} {{ yes is sameas true }} {{ 1 is sameas true }} {{ 2 is in numbers }} {{ 2 is in [5] }} {{ 3 is eq 3 }} {{ 3 is gt 2 }} {{ 3 is lessthan 2 }} {{ 'A' is upper }} {{ 'a' is lower }} {{ true is true }} {{ 1 is true }} {{ no is false }} {{ '<'|e is escaped }}
{{ count is even or count is odd }} {{ 'x' if count is odd else 'y' }} {{ name is defined and name }}
{% if yes %}a{% endif %}{% if no %}b{% endif %}{% if no %}c{% else %}d{% endif %}
{% if count == 1 %}one{% elif count == 2 %}two{% elif count == 3 %}three{% else %}many{% endif %}
{% if missing %}a{% elif missing.x %}b{% else %}c{% endif %}
{% if name and not empty %}x{% endif %}{% if (1, 2) %}t{% endif %}{% if void %}v{% endif %}
{% for item in items %}{{ loop.index }}:{{ item }}{% if not loop.last %}, {% endif %}{% endfor %}
{% for item in void %}x{% else %}nothing here{% endfor %}
{% for item in missing %}x{% else %}empty{% endfor %}
{% for c in name %}[{{ c }}]{% endfor %}
{% for key in user %}{{ key }} {% endfor %}
{% for key, value in user.items() %}{{ key }}={{ value }};{% endfor %}
{% for key, value in user|items %}{{ key }}={{ value }};{% endfor %}
{% for a, b in pairs %}{{ a }}{{ b }}{% endfor %}
{% for (a, b) in pairs %}{{ a }}{{ b }}{% endfor %}
{% for i, (a, b) in [[1, [2, 3]], [4, [5, 6]]] %}{{ i }}{{ a }}{{ b }} {% endfor %}
{% for v in user.values() %}{{ v }} {% endfor %}{% for k in user.keys() %}{{ k }} {% endfor %}{{ user.get('first') }} {{ user.get('q') }} {{ user.get('q', 'z') }}
{% for o in orders %}{{ loop.index0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.depth }}{{ loop.depth0 }} {% endfor %}
{% for o in orders %}{{ o.title }} {{ '%.2f'|format(o.price * o.qty) }}{% endfor %}
{% for n in numbers if n > 1 %}{{ n }}{{ loop.length }}{{ loop.index }} {% else %}none{% endfor %}
{% for n in numbers if n > 9 %}{{ n }}{% else %}none{% endfor %}
{% for a in numbers %}{% for b in items %}{{ a }}{{ b }}{{ loop.index }}{{ loop.depth }} {% endfor %}{{ loop.index }}{% endfor %}
{% for n in numbers %}{{ loop.cycle('odd', 'even') }} {% endfor %}{% for n in numbers %}{{ loop.previtem }}<{{ n }}>{{ loop.nextitem }} {% endfor %}
{% for i in range(5) %}{{ i }}{% endfor %}{% for i in range(2, 8, 3) %}{{ i }}{% endfor %}{% for i in range(3, 0, -1) %}{{ i }}{% endfor %}
{% for x in 1, 2, 3 %}{{ x }}{% endfor %}
{% for name in items %}{{ name }}{% endfor %}{{ name }}
{% set x = 5 %}{{ x }}{% set x = x + 1 %}{{ x }}
{% set a, b = 1, 2 %}{{ a }}{{ b }}{% set (a, b) = (b, a) %}{{ a }}{{ b }}
{% set x = 0 %}{% for i in numbers %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}
{% for i in numbers %}{{ x }}{% set x = i %}{% endfor %}|{{ x }}
{% if yes %}{% set y = 'inner' %}{% endif %}{{ y }}{% if no %}{% set z = 1 %}{% endif %}{{ z }}|
{% if no %}{% set name = 'Bob' %}{% endif %}{{ name }}{% if yes %}{% set name = 'Bob' %}{% endif %}{{ name }}
{% set t %}<b>{{ html }}</b>{% endset %}{{ t }}{{ t|length }}
{% set t = 1, 2 %}{{ t }}{% set u = [] %}{{ u }}
{# comment #}a{# multi
line #}b{#- strip -#} c
a {{- name -}} b
a   {%- if yes -%}   b   {%- endif -%}   c
a {%+ if yes +%} b {%+ endif +%} c
{% raw %}{{ name }} {% if %}{% endraw %}
a {%- raw -%} {{ x }} {%- endraw -%} b
{% raw %}{# not a comment #}{% endraw %}!
{{ '{{' }} {{ '}}' }} {{ '{%' }} {{ "%}" }}
{{ {'a': {'b': 1}}.a.b }} {{ {'a':{'b':2}}['a'] }}
{{ 'a' 'b' "c" }} {{ 'it\'s' }} {{ "tab\tnew\nline" }} {{ '\x41\u00e9\101' }} {{ '\q' }} {{ '\\' }}
{{ _private }} {{ name.upper() }} {{ name.lower() }} {{ full.title() }} {{ full.capitalize() }} {{ blank.strip() }} {{ 'xax'.lstrip('x') }} {{ 'xax'.rstrip('x') }} {{ name.startswith('A') }} {{ name.endswith('z') }} {{ name.replace('A', 'O') }} {{ 'a,b,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a,b,c'.split(',', 1) }}
{{ "they're bill's friends".title() }}
{{ lines }}
{{ name|upper|lower|title|replace('A', 'x')|length }}
{{ -3|abs }} {{ (-3)|abs }} {{ 5 - 3|abs }} {{ 'a' ~ 'b'|upper }} {{ ('a' ~ 'b')|upper }}
{{ 1 if 2 > 1 else 0 }} {{ (1 + 2) * 3 }} {{ 1 + 2 * 3 }} {{ 10 - 2 - 3 }} {{ 2 * 3 % 4 }} {{ 1 ~ 2 + 3 }} {{ not 1 == 2 }}
{{ '%d items' % 5 }} {{ '%05.1f|%-6s|%6s|%+d|%x|%%' % (3.14159, 'ab', 'cd', 5, 255) }} {{ '%s' % none }} {{ '%r' % 'x' }} {{ '%5d|%-5d|%05d' % (42, 42, -42) }} {{ '%e' % 12345.678 }} {{ '%g' % 0.0001 }} {{ '%.3s' % 'abcdef' }}
{{ number_text|int + 1 }} {{ float_text|float * 2 }}
{{ [1, 2, 3]|first }} {{ {'b': 1, 'a': 2}|first }} {{ [[1, 2], [3, 4]]|last|join('+') }}
{{ 1.0 }} {{ 100000000000000000000.0 }} {{ 1e16 }} {{ 123456789012345.0 }} {{ 1e15 }} {{ 0.0001 }} {{ 0.00001 }} {{ 5e-324 }} {{ 1.7976931348623157e308 }} {{ -0.0 }} {{ 12345678901234567.0 }} {{ 9007199254740993.0 }}
{{ huge }} {{ tiny }} {{ third }} {{ 1e22 + 1 }} {{ 1/3 + 1/3 }}
Dear {{ user.first|default('customer') }}{% if user.last %} {{ user.last }}{% endif %},
<ul>{% for o in orders %}<li>{{ o.title }} &times; {{ o.qty }}</li>{% endfor %}</ul>
{{ orders|length }} order{{ 's' if orders|length != 1 }}
{{ missing + 1 }}
{{ missing|int }}
{{ 1 + 'a' }}
{{ 'a' + 1 }}
{{ nothing + 1 }}
{{ 1 < 'a' }}
{{ 1 / 0 }}
{{ 1 % 0 }}
{{ count|length }}
{{ nothing|list }}
{% for x in 5 %}{% endfor %}
{% for x in nothing %}{% endfor %}
{% for a, b in items %}{% endfor %}
{% for a, b in [[1]] %}{% endfor %}
{{ mixed|sort }}
{{ 1 in 'abc' }}
{{ 1 in 5 }}
{{ -name }}
{{ '%d' % 'x' }}
{{ '%s %s' % 'x' }}
{{ '%s' % (1, 2) }}
{{ missing.upper() }}
{{ count.upper() }}
{{ name|unknown }}
{{ name is unknown }}
{{ name
{% if name %}
{% if name %}{% endfor %}
{% endif %}
{{ }}
{{ 1 + }}
{{ (1 }}
{{ 1) }}
{{ 'abc }}
{% for %}{% endfor %}
{% for x items %}{% endfor %}
{% set %}
{% set 5 = 1 %}
{% set true = 1 %}
{% raw %} {{ x }}
{# never closed
{% unknown %}
{{ a b }}
{{ 1 2 }}
{{ name|default( }}
{{ ! }}
{{ name $ }}
{{ user.  }}
{{ [1, 2 }}
{{ {'a' 1} }}
{{ x is }}
{{ 5 is divisibleby 0 }}
{{ text|truncate(2) }}
{{ [1,2][0:1:0] }}
{{ {[1]: 2} }}
trailing newline

two trailing newlines


{{ name }}

{{ name -}}

   {%- for i in numbers %}
   {{ i }},
   {%- endfor %}
""".strip("\n")


def handwritten():
    # Blank lines inside the block above are line ends at the end of the template before them.
    templates = []
    for line in HANDWRITTEN.split("\n"):
        if line == "" and templates:
            templates[-1] += "\n"
        elif line.startswith("   {%- for") or line.startswith("line #}") or line.startswith("   {{ i }}") \
                or line.startswith("   {%- endfor"):
            templates[-1] += ("\n" if not templates[-1].endswith("\n") else "") + line
        else:
            templates.append(line)
    for number, template in enumerate(templates, 1):
        for autoescape in (True, False):
            kind = "html" if autoescape else "text"
            yield entry(f"{number:03d} {kind}", template, autoescape)


# --- Generated templates -----------------------------------------------------------------------------------------


class Generator:
    """Random templates from a grammar; most of them make sense, some raise."""

    TEXTS = ["name", "html", "text", "empty", "accents", "quote", "user.first", "orders[0].title", "missing", "blank"]
    NUMBERS = ["count", "zero", "negative", "price", "third", "user.n", "numbers[0]", "orders[1].price"]
    LISTS = ["items", "numbers", "void", "single", "pairs", "range(4)|list"]
    LITERALS = ["'x'", "'<i>'", '"a\'b"', "''", "'%'", "'é'", "'a b c'"]

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.variables = []

    def pick(self, choices):
        return self.random.choice(choices)

    def text(self, depth):
        if depth <= 0 or self.random.random() < 0.3:
            return self.pick(self.TEXTS + self.LITERALS + self.variables)
        kind = self.random.randrange(12)
        inner = self.text(depth - 1)
        if kind == 0:
            return f"({inner} ~ {self.any(depth - 1)})"
        if kind == 1:
            return f"({inner} + {self.text(depth - 1)})"
        if kind == 2:
            return f"({inner} if {self.truth(depth - 1)} else {self.text(depth - 1)})"
        if kind == 3:
            return f"{inner}|replace({self.pick(self.LITERALS)}, {self.pick(self.LITERALS)})"
        if kind == 4:
            return f"{inner}|default({self.text(depth - 1)}{self.pick(['', ', true', ', boolean=false'])})"
        if kind == 5:
            return f"{self.sequence(depth - 1)}|join({self.pick(self.LITERALS)})"
        if kind == 6:
            ending = self.pick(["", ", true", ", false, '--'"])
            return f"{inner}|truncate({self.random.randrange(3, 30)}{ending})"
        if kind == 7:
            return f"({inner})[{self.random.randrange(-3, 4)}:{self.pick(['', '2', '-1', '9'])}]"
        if kind == 8:
            return f"when|date({self.pick(['%Y', '%d.%m.%Y', '%H:%M', '%A %B'])!r})"
        if kind == 9:
            pattern = self.pick(["'%s'", "'<%s>'", "'%5s|'", "'%-4s'"])
            return f"({pattern}|format({self.any(depth - 1)}))"
        filters = ["upper", "lower", "title", "capitalize", "trim", "e", "safe", "string", "striptags", "urlencode",
                   "first", "last", "reverse", "forceescape"]
        return f"{inner}|{self.pick(filters)}"

    def number(self, depth):
        if depth <= 0 or self.random.random() < 0.3:
            return self.pick(self.NUMBERS + ["1", "2", "7", "0.5", "10", "2.25"])
        kind = self.random.randrange(8)
        inner = self.number(depth - 1)
        if kind == 0:
            return f"({inner} {self.pick(['+', '-', '*'])} {self.number(depth - 1)})"
        if kind == 1:
            return f"({inner} {self.pick(['/', '//', '%'])} {self.number(depth - 1)})"
        if kind == 2:
            return f"({self.text(depth - 1)})|length"
        if kind == 3:
            how = self.pick(["", "1", "2", "0, 'ceil'", "1, 'floor'"])
            return f"({inner})|round({how})"
        if kind == 4:
            return f"({self.any(depth - 1)})|int"
        if kind == 5:
            return f"({inner})|{self.pick(['abs', 'float', 'int'])}"
        if kind == 6:
            return f"{self.sequence(depth - 1)}|{self.pick(['length', 'count'])}"
        return f"(-{inner})"

    def sequence(self, depth):
        if depth <= 0 or self.random.random() < 0.4:
            return self.pick(self.LISTS)
        kind = self.random.randrange(6)
        if kind == 0:
            return "[" + ", ".join(self.any(depth - 1) for _ in range(self.random.randrange(4))) + "]"
        if kind == 1:
            return f"({self.sequence(depth - 1)} + {self.sequence(depth - 1)})"
        if kind == 2:
            return f"{self.sequence(depth - 1)}|{self.pick(['sort', 'list', 'reverse|list', 'unique|list'])}"
        if kind == 3:
            return f"({self.text(depth - 1)})|list"
        if kind == 4:
            return f"{self.sequence(depth - 1)}[{self.random.randrange(-2, 3)}:]" \
                if self.random.random() < 0.5 else "user.items()|list"
        return "(" + ", ".join(self.any(depth - 1) for _ in range(self.random.randrange(2, 4))) + ")"

    def truth(self, depth):
        if depth <= 0 or self.random.random() < 0.2:
            return self.pick(["yes", "no", "void", "items", "missing", "nothing", "true", "name"])
        kind = self.random.randrange(7)
        if kind == 0:
            return f"({self.truth(depth - 1)} {self.pick(['and', 'or'])} {self.truth(depth - 1)})"
        if kind == 1:
            return f"(not {self.truth(depth - 1)})"
        if kind == 2:
            return f"({self.number(depth - 1)} {self.pick(['<', '<=', '>', '>=', '==', '!='])} {self.number(depth - 1)})"
        if kind == 3:
            return f"({self.text(depth - 1)} {self.pick(['==', '!=', 'in', 'not in', '<'])} {self.text(depth - 1)})"
        if kind == 4:
            test = self.pick(["defined", "none", "string", "number", "not defined", "undefined", "mapping", "sequence",
                              "iterable", "boolean", "integer", "float", "escaped"])
            return f"({self.any(depth - 1)} is {test})"
        if kind == 5:
            return f"({self.any(depth - 1)} in {self.sequence(depth - 1)})"
        return f"({self.number(0)} is {self.pick(['even', 'odd', 'divisibleby 3'])})"

    def any(self, depth):
        kind = self.random.randrange(10)
        if kind < 5:
            return self.text(depth)
        if kind < 8:
            return self.number(depth)
        if kind == 8:
            return self.truth(depth)
        return self.sequence(depth)

    def block(self, depth):
        kind = self.random.randrange(9)
        if depth <= 0 or kind < 3:
            return self.pick(["{{ %s }}", "{{ %s }}", "{{- %s }}", "{{ %s -}}", "{{%s}}"]) % self.any(self.random.randrange(4))
        if kind == 3:
            return self.pick([" text ", "\n", "<p>", "  \n  ", "{# note #}", "{#- note -#}", "&amp;", "é"])
        if kind in (4, 5):
            made = f"{self.tag('if ' + self.truth(2))}{self.blocks(depth - 1)}"
            if self.random.random() < 0.3:
                made += f"{self.tag('elif ' + self.truth(2))}{self.blocks(depth - 1)}"
            if self.random.random() < 0.5:
                made += f"{self.tag('else')}{self.blocks(depth - 1)}"
            return made + self.tag("endif")
        if kind in (6, 7):
            variable = self.pick(["item", "x", "name"])
            sequence = self.sequence(1)
            condition = f" if {variable}" if self.random.random() < 0.2 else ""
            self.variables.append(variable)
            extra = self.pick(["", "{{ loop.index }}", "{{ loop.last }}", "{{ loop.revindex0 }}:", "{{ loop.length }}"])
            made = f"{self.tag(f'for {variable} in {sequence}{condition}')}{extra}{self.blocks(depth - 1)}"
            self.variables.pop()
            if self.random.random() < 0.3:
                made += f"{self.tag('else')}{self.blocks(depth - 1)}"
            return made + self.tag("endfor")
        variable = self.pick(["x", "y", "name"])
        made = self.tag(f"set {variable} = {self.any(2)}")
        if self.random.random() < 0.2:
            made = self.tag(f"set {variable}") + self.blocks(depth - 1) + self.tag("endset")
        self.variables.append(variable)
        return made

    def tag(self, inside):
        return f"{{%{self.pick(['', '', '', '-'])} {inside} {self.pick(['', '', '', '-'])}%}}"

    def blocks(self, depth):
        count = len(self.variables)
        made = "".join(self.block(depth) for _ in range(self.random.randrange(1, 4)))
        del self.variables[count:]
        return made


def generated():
    errors = 0
    number = 0
    seed = SEED
    while number < GENERATED:
        seed += 1
        generator = Generator(seed)
        template = generator.blocks(3)
        autoescape = generator.random.random() < 0.6
        line = entry(f"seed {seed}", template, autoescape)
        if "error" in line:
            if errors * 8 > number:
                continue
            errors += 1
        elif len(line["expected"]) > 4000:
            continue
        number += 1
        yield line


def write(path, lines):
    with open(path, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=True, separators=(",", ":")) + "\n")


def check():
    failures = 0
    count = 0
    context = untagged(json.loads((FOLDER / "context.json").read_text(encoding="utf-8")))
    for path in sorted(FOLDER.glob("*.jsonl")):
        for text in open(path, encoding="utf-8"):
            line = json.loads(text)
            found = outcome(line["template"], context, line["autoescape"])
            wanted = {key: line[key] for key in ("expected", "error") if key in line}
            count += 1
            if found != wanted:
                failures += 1
                print(f"{path.name}: {line['name']}: {line['template']!r}: {wanted} committed, {found} found")
    print(f"{count} templates, {failures} differ from Jinja2 {jinja2.__version__}")
    return 1 if failures or count == 0 else 0


def main():
    if sys.argv[1:] == ["--check"]:
        return check()
    if sys.argv[1:]:
        print(__doc__, file=sys.stderr)
        return 64
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "context.json").write_text(json.dumps(tagged(CONTEXT)) + "\n", encoding="utf-8")
    write(FOLDER / "handwritten.jsonl", handwritten())
    write(FOLDER / "generated.jsonl", generated())
    return check()


if __name__ == "__main__":
    sys.exit(main())
