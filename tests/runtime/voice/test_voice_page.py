"""What is heard and asked aloud reaches the page as anything else does."""

import asyncio
import json
from dataclasses import replace

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from written_records import answer

from runtime.answers.alerts import AlertRule, StandingAlert, StandingAlerts
from runtime.answers.heard import HeardFact, HeardRecord, PointedAt
from runtime.answers.listeners import AlertsChanged
from runtime.server.aloud.voice import PageVoice
from runtime.server.desk import Counter, Desk
from runtime.server.hub import Hub
from runtime.server.live_socket import LiveSocket
from runtime.server.outlet import Outlet
from runtime.server.security import Places

HEARD = HeardFact("What is this?", 10, 20, (PointedAt("this", 18, 0.25, 0.5, 11, None),))


def told_to_a_page(*news):
    """(What a page is told of news, the desk's alerts message, the history)."""

    async def listen():
        hub, outlet = Hub(lambda: 30, (4, 4)), Outlet()
        desk = Desk(Counter(None, None, None, ALERTS, ALERTS.rule), hub)
        hub.attach(outlet)
        for each in news:
            hub.hear(each)
        messages, _ = await asyncio.wait_for(outlet.take(), 5)
        return [json.loads(each) for each in messages], desk.told_alerts(), list(hub.history)

    return asyncio.run(listen())


ALERTS = StandingAlerts([StandingAlert("Tell me when I look at the cup.", AlertRule(0.7))])


def test_the_answer_to_a_spoken_question_is_told_with_what_was_heard_and_kept():
    spoken = replace(answer("a cup"), question="What is this?", heard=HEARD)
    heard = HeardRecord("What is this?", 10, 20, 25, "question")
    (first, second), _, history = told_to_a_page(heard, spoken)
    assert first["type"] == second["type"] == "record"
    assert first["record"]["kind"] == "heard" and first["record"]["taken_as"] == "question"
    assert second["record"]["heard"]["pointed_at"] == [
        {"word": "this", "at": 18, "x": 0.25, "y": 0.5, "start": 11, "end": None}
    ]
    assert [json.loads(line) for line in history] == [second["record"]]


def test_alerts_that_were_asked_for_aloud_stand_on_the_page_as_its_own_do():
    (message,), desks, _ = told_to_a_page(AlertsChanged(tuple(ALERTS)))
    assert message == desks
    assert message["alerts"] == [{"text": "Tell me when I look at the cup.", "threshold": 0.7}]


def test_a_request_ends_what_it_names_and_all_where_it_names_nothing():
    texts = ["Tell me when I look at the key.", "Tell me when I look at a monkey", "a red cup"]
    alerts = StandingAlerts(StandingAlert(text, AlertRule()) for text in texts)
    alerts.remove_about("Stop telling me about the key.")
    assert [alert.text for alert in alerts] == texts[1:]
    alerts.remove_about("Stop telling me about the knife.")
    assert [alert.text for alert in alerts] == texts[1:]
    alerts.remove_about("Stop telling me when I look at the cup.")
    assert [alert.text for alert in alerts] == texts[1:2]
    alerts.remove_about("Stop telling me.")
    assert not alerts


def test_a_button_on_the_page_is_a_key_to_talk_and_goes_up_when_the_page_leaves():
    held = []

    async def visit():
        hub = Hub(lambda: 30, (4, 4))
        desk = Desk(Counter(None, None, None, ALERTS, ALERTS.rule, held.append), hub)
        app = web.Application()
        socket = LiveSocket(hub, desk, Places(2), {"listens": True}, PageVoice())
        app.router.add_get("/live", socket.serve)
        async with TestClient(TestServer(app)) as client:
            one, other = await client.ws_connect("/live"), await client.ws_connect("/live")
            assert (await one.receive_json())["listens"]
            for page, down in ((one, True), (one, True), (other, True), (one, False)):
                await page.send_json({"do": "talk", "held": down})
                await page.send_json({"do": "alert", "text": ""})  # refused: so it was heard
                while (await page.receive_json())["type"] != "refused":
                    pass
            assert held == [True]  # the other page holds its own
            await other.close()
            while hub.clients > 1:
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(visit(), 20))
    assert held == [True, False]
