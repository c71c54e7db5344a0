"""A gRPC tool with a method of each kind. Prints the port that it listens on, and a line whenever a call ends that has no end of
its own. Messages are plain bytes, so that nothing has to be generated.

    tool.py [CERTIFICATE KEY]
"""

import json
import sys
import time
from concurrent import futures

import grpc


def say(*words):
    print(*words, flush=True)


def seen(context):
    """What the call came with, as the tool sees it."""
    return [[name, value if isinstance(value, str) else value.hex()] for name, value in context.invocation_metadata()]


def echo(request, context):
    context.set_trailing_metadata((("spent", "7"), ("spent-bin", b"\x00\xff")))
    return request


def who(request, context):
    return json.dumps({"metadata": seen(context), "peer": context.peer()}).encode()


def count(request, context):
    context.send_initial_metadata((("begun", "yes"),))
    for number in range(int(request)):
        yield b"%d" % number
    context.set_trailing_metadata((("counted", request.decode()),))


def ticks(request, context):
    name = request.decode()
    context.add_callback(lambda: say("ended", name))
    say("began", name)
    while context.is_active():
        yield b"tick"
        time.sleep(0.02)


def quiet(request, context):
    """Says nothing for so many seconds, not even that there will be an answer."""
    context.add_callback(lambda: say("ended", "quiet"))
    end = time.monotonic() + float(request)
    while context.is_active() and time.monotonic() < end:
        time.sleep(0.02)
    return b"at last"


def add(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def talk(requests, context):
    for request in requests:
        yield request[::-1]


def wait(requests, context):
    """Hears the client out, and never says a word until then."""
    context.add_callback(lambda: say("ended", "wait"))
    say("began", "wait")
    return add(requests, context)


def fail(request, context):
    context.set_trailing_metadata((("why", "because"),))
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no such thing: \u8336 %")


def fail_late(request, context):
    yield b"one"
    yield b"two"
    context.abort(grpc.StatusCode.DATA_LOSS, "the third is gone")


METHODS = {
    "Echo": grpc.unary_unary_rpc_method_handler(echo),
    "Who": grpc.unary_unary_rpc_method_handler(who),
    "Quiet": grpc.unary_unary_rpc_method_handler(quiet),
    "Fail": grpc.unary_unary_rpc_method_handler(fail),
    "Count": grpc.unary_stream_rpc_method_handler(count),
    "Ticks": grpc.unary_stream_rpc_method_handler(ticks),
    "FailLate": grpc.unary_stream_rpc_method_handler(fail_late),
    "Add": grpc.stream_unary_rpc_method_handler(add),
    "Wait": grpc.stream_unary_rpc_method_handler(wait),
    "Talk": grpc.stream_stream_rpc_method_handler(talk),
}

server = grpc.server(futures.ThreadPoolExecutor(64), options=[("grpc.max_receive_message_length", -1)])
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Admin", METHODS),))
if len(sys.argv) > 1:
    certificate, key = (open(path, "rb").read() for path in sys.argv[1:3])
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
else:
    port = server.add_insecure_port("127.0.0.1:0")
server.start()
say("listens on", port)
server.wait_for_termination()
