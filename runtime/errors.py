"""Errors whose message is one line for the person who runs the program."""


class RuntimeFault(Exception):
    """Something given to the runtime can't be used; the message says what, and what to do."""


class BundleError(RuntimeFault):
    """A bundle is missing, incomplete, altered or of another format."""


class EngineError(RuntimeFault):
    """No engine can run a graph on this machine as asked."""


class NotFiniteError(RuntimeFault):
    """A graph computed something that is no number: nothing may rest on it."""


class QuestionError(RuntimeFault):
    """A question can't be asked as it stands."""
