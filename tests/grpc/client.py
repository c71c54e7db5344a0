"""A gRPC client of tool.py, straight or through the wall. What comes of each call is a line of JSON.

    client.py ADDRESS AUTHORITY CA|- COOKIE|- COMMAND [ARGUMENT]
"""

import json
import sys
import threading

import grpc

address, authority, ca, cookie, command, *arguments = sys.argv[1:]
options = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.default_authority", authority),
]
if ca == "-":
    channel = grpc.insecure_channel(address, options)
else:
    credentials = grpc.ssl_channel_credentials(open(ca, "rb").read())
    channel = grpc.secure_channel(address, credentials, [*options, ("grpc.ssl_target_name_override", authority)])
# Whoever else the client would like to be is for the wall to take away.
METADATA = (("remote-user", "mallory"), ("x-forwarded-user", "mallory"))
METADATA += () if cookie == "-" else (("cookie", cookie),)
# What the tool says at the end of a call.
OWN = ("spent", "spent-bin", "counted", "why")


def tell(**words):
    print(json.dumps(words), flush=True)


def pairs(metadata):
    return sorted([name, value if isinstance(value, str) else value.hex()] for name, value in metadata or ())


def method(kind, name):
    return getattr(channel, kind)("/shop.Admin/" + name)


def outcome(call):
    """How a call has ended."""
    trailers = [pair for pair in pairs(call.trailing_metadata()) if pair[0] in OWN]
    return {"code": call.code().name, "details": call.details(), "trailers": trailers}


def unary(name, request, **more):
    try:
        answer, call = method("unary_unary", name).with_call(request, metadata=METADATA, **more)
        return {"answer": answer.decode("latin-1"), **outcome(call)}
    except grpc.RpcError as error:
        return outcome(error)


def stream(kind, name, request):
    call = method(kind, name)(request, metadata=METADATA)
    came = []
    try:
        came.extend(piece.decode("latin-1") for piece in call)
    except grpc.RpcError:
        pass
    begun = [pair for pair in pairs(call.initial_metadata()) if pair[0] == "begun"]
    return {"begun": begun, "came": came, **outcome(call)}


def slowly(count):
    """Waits for each answer before it says the next."""
    asked = threading.Semaphore(1)

    def say():
        for number in range(count):
            asked.acquire()
            yield b"message %d" % number

    came = []
    call = method("stream_stream", "Talk")(say(), metadata=METADATA)
    for piece in call:
        came.append(piece.decode())
        asked.release()
    return {"came": came, **outcome(call)}


def at_once(count):
    calls = [method("unary_unary", "Echo").future(b"%d" % number, metadata=METADATA) for number in range(count)]
    return [call.result().decode() for call in calls]


def everything():
    large = b"x" * 3_000_000
    added = method("stream_unary", "Add").with_call(iter([large] * 3), metadata=METADATA)
    tell(
        echo=unary("Echo", b"\x00\xfe over"),
        empty=unary("Echo", b""),
        large=len(unary("Echo", large)["answer"]),
        count=stream("unary_stream", "Count", b"1000"),
        none=stream("unary_stream", "Count", b"0"),
        added=added[0].decode(),
        talk=slowly(50),
        fail=unary("Fail", b""),
        late=stream("unary_stream", "FailLate", b""),
        nothing=unary("NoSuchMethod", b""),
        at_once=at_once(300),
        deadline=unary("Quiet", b"20", timeout=0.3)["code"],
    )


if command == "everything":
    everything()
elif command == "unary":
    tell(**unary(arguments[0], arguments[1].encode()))
elif command == "ticks":
    call = method("unary_stream", "Ticks")(arguments[0].encode(), metadata=METADATA)
    came = 0
    try:
        for _ in call:
            came += 1
            if came in (1, 10):
                tell(ticks=came)
    except grpc.RpcError:
        pass
    tell(**outcome(call))
elif command == "wait":
    # Sends a message, and then nothing for so many seconds; the last one comes behind that.
    def pause():
        yield b"12345"
        threading.Event().wait(float(arguments[0]))
        yield b"12345"

    try:
        answer, call = method("stream_unary", "Wait").with_call(pause(), metadata=METADATA)
        tell(answer=answer.decode(), **outcome(call))
    except grpc.RpcError as error:
        tell(**outcome(error))
