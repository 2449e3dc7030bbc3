"""moto's server, as the lab runs it: `python -I -c <this file>`, with the lab at the other end of both pipes.

Prints `port N` on standard output once it listens, then nothing more; whatever moto prints goes to standard error, the
lab's log file. Ends when standard input closes: a lab that is killed leaves no server behind.
"""

import os
import signal
import sys
import threading


def end_with_the_lab():
    try:
        while os.read(0, 4096):
            pass
    finally:
        os._exit(0)


# Before the imports, which take most of the start: the lab may be killed during them. Ctrl-C reaches the whole terminal's
# group, but the lab still has its own end to bring about, for which it needs its account.
signal.signal(signal.SIGINT, signal.SIG_IGN)
threading.Thread(target=end_with_the_lab, daemon=True).start()

# The pipe carries one line and may then be closed; nothing else may find itself writing to it.
announce = os.dup(1)
os.dup2(2, 1)

import gc  # noqa: E402
import traceback  # noqa: E402

# The imports make much and drop nothing: looking for garbage among it is a sixth of the start.
gc.disable()

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402
from waitress.server import create_server  # noqa: E402

gc.freeze()
gc.enable()

dispatcher = DomainDispatcherApplication(create_backend_app)


def application(environ, start_response):
    # moto wants the path as it was sent (a key with an encoded slash) under the name that werkzeug's server gives it.
    environ["RAW_URI"] = environ["REQUEST_URI"]
    try:
        return dispatcher(environ, start_response)
    except Exception as error:
        # What moto has not implemented, and its bugs. The lab's gateway makes an AWS error of this, in words; werkzeug's
        # server would send a traceback as a page of HTML.
        traceback.print_exc()
        status = "501 Not Implemented" if isinstance(error, NotImplementedError) else "500 Internal Server Error"
        text = traceback.format_exception_only(type(error), error)[-1].strip().encode()
        start_response(status, [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))])
        return [text]


# waitress, since werkzeug's server closes the connection after every answer. It drops headers with an underscore in
# their name (user metadata of S3 objects may have such), as most proxies do. Each waiting ReceiveMessage of SQS holds a
# thread, and each test of a parallel run holds connections.
server = create_server(
    application,
    host="127.0.0.1",
    port=0,
    threads=16,
    connection_limit=1000,
    clear_untrusted_proxy_headers=False,
    ident=None,
)
os.write(announce, b"port %d\n" % int(server.effective_port))
os.close(announce)

# S3 is what nearly every caller asks first; this is a good part of its first answer.
threading.Thread(target=dispatcher.get_application, args=({"PATH_INFO": "/"},), daemon=True).start()
server.run()
