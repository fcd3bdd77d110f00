"""A session to which listed samples are played, as evaluation does."""

from stand_in import MS, START, ListedDevice

from runtime.answers.questions import Question
from runtime.answers.session import Session, SessionOptions

CHOICE = Question("What is it?", ("a cup", "a knife", "a plate"))
OPTIONS = SessionOptions(rule="adaptive", window=8.0, rate=2.0)


def answers(models, samples, moments, options=OPTIONS, tick=10 * MS, question=CHOICE):
    """Play samples to a session; ask at every moment (ns from the start)."""
    device = ListedDevice(samples)
    records = []
    with device as info:
        session = Session(models, info, options, device.counts)
        pending = [START + moment for moment in sorted(moments)]
        while pending:
            now = device.clock.now()
            session.receive(device.poll(), now)
            while pending and pending[0] <= now and session.ready(pending[0]):
                moment = pending.pop(0)
                session.advance(moment)
                records.append(session.ask(question, moment))
            session.advance(now)
            device.clock.sleep_until(now + tick)
    return records
