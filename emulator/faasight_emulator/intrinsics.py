"""CloudFormation's intrinsic functions: !Ref, !GetAtt, !Sub, !Join, !Select, !Split, !FindInMap, !If and conditions."""

import base64
import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence

from faasight_emulator.document import Document, Steps, Value

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
NO_VALUE = object()  # what AWS::NoValue leaves: the property is as if it were not there


class Resolver:
    """Replaces intrinsic functions by their values.

    `names` holds what !Ref gives (parameters, pseudo parameters, resources), `attributes` what !GetAtt gives, by
    (logical id, attribute). `stand_in` gives an attribute of what is not emulated, None if there is none. `dynamic`
    replaces dynamic references in a text. `warn` takes a sentence about what is only a guess.
    """

    def __init__(
        self,
        document: Document,
        names: Mapping[str, Value],
        attributes: Mapping[tuple[str, str], str],
        stand_in: Callable[[str, str], str | None] = lambda _resource, _attribute: None,
        dynamic: Callable[[str, Steps], str] = lambda text, _: text,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._document = document
        self._names = names
        self._attributes = attributes
        self._stand_in = stand_in
        self._dynamic = dynamic
        self._warn = warn
        self._functions: dict[str, Callable[[Value, Steps], Value]] = {
            "Ref": self._ref,
            "Fn::GetAtt": self._get_att,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::Select": self._select,
            "Fn::Split": self._split,
            "Fn::FindInMap": self._find_in_map,
            "Fn::If": self._if,
            "Fn::ImportValue": self._import,
            "Fn::GetAZs": lambda given, _: [f"{text_of(given or self._names['AWS::Region'])}{zone}" for zone in "abc"],
            "Fn::Base64": lambda given, _: base64.b64encode(text_of(given).encode()).decode(),
            "Fn::ToJsonString": lambda given, _: json.dumps(given),
            "Fn::Length": self._length,
            "Fn::Equals": lambda given, steps: self._pair(given, steps, "Equals")[0] == given[1],
            "Fn::Not": lambda given, steps: not self._flags(given, steps)[0],
            "Fn::And": lambda given, steps: all(self._flags(given, steps)),
            "Fn::Or": lambda given, steps: any(self._flags(given, steps)),
            "Condition": lambda given, steps: self.condition(str(given), steps),
        }

    def resolve(self, value: Value, steps: Steps) -> Value:
        """Return `value` with every intrinsic in it replaced.

        Raises:
            TemplateError: an intrinsic is unknown, malformed, or refers to nothing.

        """
        if isinstance(value, dict):
            function = next(iter(value)) if len(value) == 1 else ""
            if function in self._functions and not (function == "Condition" and isinstance(value[function], dict)):
                return self._call(function, value[function], steps)
            if function.startswith("Fn::"):
                known = ", ".join(f"!{name.removeprefix('Fn::')}" for name in self._functions)
                raise self._document.error(steps, f"{function} is not supported here; use one of {known}.")
            pairs = ((key, self.resolve(item, (*steps, key))) for key, item in value.items())
            return {key: item for key, item in pairs if item is not NO_VALUE}
        if isinstance(value, list):
            items = (self.resolve(item, (*steps, index)) for index, item in enumerate(value))
            return [item for item in items if item is not NO_VALUE]
        return self._referred(value, steps)

    def _referred(self, value: Value, steps: Steps) -> Value:
        """Return a value with the dynamic references in it replaced, if it is a text."""
        return self._dynamic(value, steps) if isinstance(value, str) and "{{resolve:" in value else value

    def condition(self, name: str, steps: Steps) -> bool:
        """Return whether the condition of this name holds."""
        conditions = self._document.values.get("Conditions") or {}
        if not isinstance(conditions, dict):
            raise self._document.error(("Conditions",), "must be a mapping of names to conditions.")
        if name not in conditions:
            raise self._document.error(steps, f"there is no condition '{name}'{_guess(name, conditions)}")
        return bool(self.resolve(conditions[name], ("Conditions", name)))

    def _call(self, function: str, given: Value, steps: Steps) -> Value:
        # A condition's arguments are resolved by itself; If must not resolve the branch that is not taken.
        if function not in ("Ref", "Fn::GetAtt", "Fn::Sub", "Fn::If", "Condition"):
            given = self.resolve(given, steps)
        try:
            return self._referred(self._functions[function](given, steps), steps)
        except RecursionError as error:
            raise self._document.error(steps, f"{function} refers to itself; break the circle.") from error

    def _ref(self, given: Value, steps: Steps) -> Value:
        name = str(given)
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self._names:
            return self._names[name]
        raise self._document.error(
            steps, f"'{name}' is neither a parameter nor a resource of this template{_guess(name, self._names)}"
        )

    def _get_att(self, given: Value, steps: Steps) -> str:
        parts = given.split(".", 1) if isinstance(given, str) else given
        if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            raise self._document.error(steps, "!GetAtt needs a resource and an attribute: !GetAtt OrderQueue.Arn")
        resource, attribute = parts
        if (resource, attribute) in self._attributes:
            return self._attributes[resource, attribute]
        if resource not in self._names:
            raise self._document.error(steps, f"there is no resource '{resource}'{_guess(resource, self._names)}")
        instead = self._stand_in(resource, attribute)
        if instead is not None:
            return instead
        known = sorted(name for owner, name in self._attributes if owner == resource)
        wanted = f"it has {', '.join(known)}" if known else "this kind of resource has none here"
        raise self._document.error(steps, f"'{resource}' has no attribute '{attribute}'; {wanted}.")

    def _sub(self, given: Value, steps: Steps) -> str:
        text, own = (given, {}) if isinstance(given, str) else self._pair(given, steps, "Sub")
        own = self.resolve(own, steps)
        if not isinstance(text, str) or not isinstance(own, dict):
            raise self._document.error(steps, "!Sub needs text, or a list of text and a mapping of its variables.")

        def replace(found: re.Match[str]) -> str:
            name = found.group(1).strip()
            if name.startswith("!"):  # ${!Literal} stays as ${Literal}
                return f"${{{name[1:]}}}"
            if name in own:
                return text_of(own[name])
            # `${Function.Version}` is a name of its own in SAM; other dots are attributes.
            is_attribute = "." in name and name not in self._names
            return text_of(self._get_att(name, steps) if is_attribute else self._ref(name, steps))

        return _VARIABLE.sub(replace, text)

    def _join(self, given: Value, steps: Steps) -> str:
        separator, items = self._pair(given, steps, "Join")
        if not isinstance(items, list):
            raise self._document.error(steps, "!Join needs a separator and a list.")
        return text_of(separator).join(text_of(item) for item in items)

    def _select(self, given: Value, steps: Steps) -> Value:
        index, items = self._pair(given, steps, "Select")
        try:
            return items[int(index)]
        except (TypeError, ValueError, IndexError, KeyError) as error:
            raise self._document.error(steps, "!Select needs an index and a list that is long enough.") from error

    def _split(self, given: Value, steps: Steps) -> list[str]:
        separator, text = self._pair(given, steps, "Split")
        return text_of(text).split(text_of(separator) or ",")

    def _find_in_map(self, given: Value, steps: Steps) -> Value:
        found: Value = self._document.values.get("Mappings") or {}
        *keys, last = given if isinstance(given, list) and given else [None]
        default = last if isinstance(last, dict) and "DefaultValue" in last else None
        for key in keys if default is not None else [*keys, last]:
            if not isinstance(found, dict) or text_of(key) not in found:
                if default is not None:
                    return default["DefaultValue"]
                raise self._document.error(steps, f"the Mappings section has no '{text_of(key)}' here; add it.")
            found = found[text_of(key)]
        return found

    def _import(self, given: Value, steps: Steps) -> str:
        name = text_of(given)
        text = f"'{name}' is exported by another stack, which is not here; its name stands in for it."
        self._warn(str(self._document.error(steps, text)))
        return name

    def _length(self, given: Value, steps: Steps) -> int:
        if not isinstance(given, list):
            raise self._document.error(steps, "Fn::Length needs a list.")
        return len(given)

    def _if(self, given: Value, steps: Steps) -> Value:
        if not isinstance(given, list) or len(given) != 3:
            raise self._document.error(steps, "!If needs a condition's name, a value if true, and a value if false.")
        return self.resolve(given[1] if self.condition(str(given[0]), steps) else given[2], steps)

    def _pair(self, given: Value, steps: Steps, name: str) -> tuple[Value, Value]:
        if not isinstance(given, list) or len(given) != 2:
            raise self._document.error(steps, f"!{name} needs a list of two.")
        return given[0], given[1]

    def _flags(self, given: Value, steps: Steps) -> Sequence[bool]:
        if not isinstance(given, list) or not given:
            raise self._document.error(steps, "a condition function needs a list of conditions.")
        return [bool(flag) for flag in given]


def text_of(value: Value) -> str:
    """Return a scalar as CloudFormation writes it: true and false in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _guess(name: str, known: Mapping[str, Value]) -> str:
    """Return "; did you mean 'X'?" when a known name is near."""
    near = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean '{near[0]}'?" if near else "; add it or correct the name."
