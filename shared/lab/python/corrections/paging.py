"""Paging, which moto's answers do not have: every list comes whole, whatever was asked for."""

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult


class Ec2Error(ServiceException):
    """moto learns from an exception's module in which service's words to say it."""

    __module__ = "moto.ec2.exceptions"


class IamError(ServiceException):
    """The same in IAM's."""

    __module__ = "moto.iam.exceptions"


def paged(responses, operation, items, key, *, size, token, limits, default=None, truncated=False, alone=None):
    """Makes an operation's answer come in pages, in the order of `key`.

    `size` and `token` are the parameters' names; `limits` what the service takes for `size`. `default` is the size of a
    page where none was asked for (none: all at once). `truncated` adds IAM's IsTruncated. `alone` is a parameter that
    may not be given together with `size`.
    """
    whole = getattr(responses, operation)

    def page(self):
        asked, mark = self._get_param(size), self._get_param(token)
        if asked is not None and alone is not None and self._get_param(alone):
            raise Ec2Error(
                "InvalidParameterCombination", f"The parameter {size} cannot be used with the parameter {alone}"
            )
        most = default if asked is None else int(asked)
        if asked is not None and not limits[0] <= most <= limits[1]:
            raise out_of_limits(self, size, most, limits)
        after = None if mark is None else from_token(self, token, mark)
        result = dict(whole(self).result)
        rest = list(result[items])
        if most is not None or after is not None:
            rest = sorted(((key(item), item) for item in rest), key=lambda pair: pair[0])
            rest = [item for name, item in rest if after is None or name > after]
        most = len(rest) if most is None else most
        result[items] = rest[:most]
        if truncated:
            result["IsTruncated"] = len(rest) > most
        if len(rest) > most:
            result["Marker" if truncated else "NextToken"] = key(rest[most - 1]).encode().hex()
        return ActionResult(result)

    setattr(responses, operation, page)


def out_of_limits(response, size, given, limits):
    if response.service_name == "iam":
        at = size[0].lower() + size[1:]
        bound = ("less", limits[1]) if given > limits[1] else ("greater", limits[0])
        return IamError(
            "ValidationError",
            f"1 validation error detected: Value '{given}' at '{at}' failed to satisfy constraint: Member must have "
            f"value {bound[0]} than or equal to {bound[1]}",
        )
    bound = ("less", limits[1]) if given > limits[1] else ("greater", limits[0])
    return Ec2Error(
        "InvalidParameterValue",
        f"Value ( {given} ) for parameter {size} is invalid. Expecting a value {bound[0]} than or equal to {bound[1]}.",
    )


def from_token(response, name, mark):
    try:
        return bytes.fromhex(mark).decode()
    except ValueError:
        text = f"Invalid value for {name}: it is none that a call returned"
        iam = response.service_name == "iam"
        raise (IamError("ValidationError", text) if iam else Ec2Error("InvalidParameterValue", text)) from None
