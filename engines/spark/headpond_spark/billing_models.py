"""Renders the models of engines/dbt for Spark without dbt: the same small language of templates that Headpond's binary reads (src/billing/models.h).

    models = Models(pathlib.Path("engines/dbt"))
    sql = models.render("usage_15m", day="2026-11-24")

A macro's spark__ body goes before its default__ one. `source('a', 'b')` is a view a_b, `ref('m')` a view m. Anything else is refused.
"""
import re

MACRO = re.compile(r"{%\s*macro\s+(\w+)\(([^)]*)\)\s*%}(.*?){%\s*endmacro\s*%}", re.S)
TEMPLATE = re.compile(r"{#.*?#}|{{(.*?)}}|{[{%#]", re.S)
TOKEN = re.compile(r"\s*(?:(\w+)\s*\(|'([^']*)'|\"([^\"]*)\"|([,)]))")


class UnknownTemplate(ValueError):
    pass


class Models:
    def __init__(self, project):
        self.models = {path.stem: path.read_text(encoding="utf-8") for path in sorted((project / "models").glob("*.sql"))}
        bodies = {}
        for name, parameters, body in MACRO.findall((project / "macros" / "headpond.sql").read_text(encoding="utf-8")):
            bodies[name] = ([p.strip() for p in parameters.split(",") if p.strip()], body.strip())
        names = {name.split("__", 1)[1] for name in bodies if "__" in name}
        self.macros = {name: bodies.get("spark__" + name) or bodies["default__" + name] for name in names}

    def render(self, model, day):
        def replaced(match):
            if match[0].startswith("{#"):
                return ""
            if match[1] is None:
                raise UnknownTemplate(f"models/{model}.sql: unknown template {match[0]}")
            try:
                value, rest = self._call(match[1].strip(), day)
            except (KeyError, IndexError, TypeError) as error:
                raise UnknownTemplate(f"models/{model}.sql: unknown template {match[0]}") from error
            if rest.strip():
                raise UnknownTemplate(f"models/{model}.sql: unknown template {match[0]}")
            return value

        return TEMPLATE.sub(replaced, self.models[model])

    def _call(self, text, day):
        """`name(argument, …)` at the front of `text`: its value, and what follows."""
        token = TOKEN.match(text)
        name, arguments, rest = token[1], [], text[token.end():]
        while True:
            token = TOKEN.match(rest)
            if token[1]:
                value, rest = self._call(rest, day)
                arguments.append(value)
                token = TOKEN.match(rest)
            elif token[4] is None:
                arguments.append(token[2] if token[2] is not None else token[3])
                rest = rest[token.end():]
                token = TOKEN.match(rest)
            rest = rest[token.end():]
            if token[4] == ")":
                return self._value(name, arguments, day), rest

    def _value(self, name, arguments, day):
        if name == "ref" and arguments[0] in self.models:
            return arguments[0]
        if name == "source":
            return arguments[0] + "_" + arguments[1]
        if name == "var" and arguments == ["day"]:
            return day
        parameters, body = self.macros[name]
        if len(parameters) != len(arguments):
            raise KeyError(name)
        values = dict(zip(parameters, arguments))
        return re.sub(r"{{\s*(\w+)\s*}}", lambda match: values[match[1]], body)
