"""Answers that end before their end, and servers beside each other on one host."""

import asyncio
import json
import threading

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer

from runtime.answers.alerts import AlertRule, StandingAlerts
from runtime.server.desk import Counter, Desk
from runtime.server.hub import Hub
from runtime.server.openai.routes import Completions, Served
from runtime.server.security import Access, guard

BODY = {"messages": [{"role": "user", "content": "What is it?"}], "stream": True}
PATHS = {
    "/v1/chat/completions": BODY,
    "/v1/responses": {"input": "What is it?", "stream": True},
}


def asking(visit):
    """Runs `visit(client, desk, asked)`; `asked` holds the questions that reached the run."""

    async def run():
        asked, rule = [], AlertRule()
        hub = Hub(lambda: 1, (4, 4))
        alerts = StandingAlerts([], rule)
        counter = Counter(asked.append, lambda question: None, lambda: 1, alerts, rule)
        desk = Desk(counter, hub)
        served = Served("mini", (56, 56), 16, lambda q: 1, lambda text: 1, lambda: 1)
        app = web.Application()
        app.add_routes(Completions(desk, served).routes())
        server = TestServer(app, handler_cancellation=True)
        async with TestClient(server) as client:
            return await visit(client, desk, asked)

    return asyncio.run(asyncio.wait_for(run(), 20))


async def first_question(asked):
    while not asked:
        await asyncio.sleep(0.01)
    return asked[0].question.ticket


def say(ticket, text):
    """A piece as the decoder's thread tells it."""
    thread = threading.Thread(target=ticket.on_piece, args=(text,))
    thread.start()
    thread.join()


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_that_the_end_of_the_run_cuts_off_ends_with_an_error_in_itself(path):
    async def visit(client, desk, asked):
        posting = asyncio.create_task(client.post(path, json=PATHS[path]))
        say(await first_question(asked), "A green")
        reply = await posting
        assert reply.status == 200
        desk.close()
        return await reply.text()

    text = asking(visit)
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
    assert "HTTP/1.1" not in text
    assert "the run is over" in json.dumps(events[-1])
    assert "[DONE]" not in text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
def test_who_waits_when_the_run_ends_is_told_that_it_has(path, stream):
    async def visit(client, desk, asked):
        posting = asyncio.create_task(client.post(path, json={**PATHS[path], "stream": stream}))
        await first_question(asked)
        desk.close()
        reply = await posting
        again = await client.post(path, json=PATHS[path])
        return reply.status, (await reply.json())["error"]["message"], again.status

    assert asking(visit) == (503, "the run is over", 503)


@pytest.mark.parametrize("path", PATHS)
def test_a_client_that_leaves_amid_its_answer_withdraws_the_question(path):
    async def visit(client, desk, asked):
        async with ClientSession() as leaving:
            posting = asyncio.create_task(leaving.post(client.make_url(path), json=PATHS[path]))
            ticket = await first_question(asked)
            say(ticket, "A green")
            (await posting).close()
        for _ in range(200):
            if ticket.is_withdrawn:
                return True
            await asyncio.sleep(0.01)
        return False

    assert asking(visit)


def test_two_servers_of_one_host_do_not_take_each_others_cookies():
    async def visit():
        async def page(request):
            return web.Response(text="in")

        async with ClientSession() as browser:
            places = []
            for _ in range(2):
                access = Access.of("0.0.0.0", is_loopback=False)
                app = web.Application(middlewares=[guard(access)])
                app.router.add_get("/", page)
                server = TestServer(app)
                await server.start_server()
                places.append((server, access.token))
            found = {}
            for server, token in places:
                url = f"http://127.0.0.1:{server.port}/?token={token}"
                async with browser.get(url, allow_redirects=False) as reply:
                    found |= {name: each.value for name, each in reply.cookies.items()}
            statuses = []
            for server, _ in places:
                told = {"Cookie": "; ".join(f"{name}={value}" for name, value in found.items())}
                async with browser.get(f"http://127.0.0.1:{server.port}/", headers=told) as r:
                    statuses.append(r.status)
            for server, _ in places:
                await server.close()
            return statuses

    assert asyncio.run(visit()) == [200, 200]


@pytest.mark.parametrize("host", ["127.0.0.1:port", "127.0.0.1:99999999", "[::1"])
def test_a_host_that_is_none_is_refused(host):
    async def visit():
        app = web.Application(middlewares=[guard(Access.of("127.0.0.1", is_loopback=True))])
        async with TestClient(TestServer(app)) as client:
            return (await client.get("/", headers={"Host": host})).status

    assert asyncio.run(visit()) in (400, 421)
