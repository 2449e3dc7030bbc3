"""moto's server, as the lab runs it: `python -I -c <this file> <corrections>`, with the lab at the other end of both
pipes.

`corrections` is a JSON object of Python modules by name: what the lab corrects inside of moto. Without it, it is moto.

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

import functools  # noqa: E402
import gc  # noqa: E402
import importlib.abc  # noqa: E402
import importlib.machinery  # noqa: E402
import json  # noqa: E402
import traceback  # noqa: E402

# The imports make much and drop nothing: looking for garbage among it is a sixth of the start.
gc.disable()

from moto.core import errors  # noqa: E402
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: E402
from waitress.server import create_server  # noqa: E402

gc.freeze()
gc.enable()

# moto lists the folders of its own package for every request, and puts together all errors of a service for every error:
# more than half of the time that a call takes. Neither changes while it runs.
known_hosts = functools.lru_cache(maxsize=None)(DomainDispatcherApplication.get_backend_for_host)
DomainDispatcherApplication.get_backend_for_host = known_hosts
errors_by_service = errors.ErrorLookupFactory()
errors.ErrorLookupFactory = lambda: errors_by_service

CORRECTIONS = json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}


class Corrections(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the lab's own modules in what it passed: there is no file to lose."""

    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self) if name in CORRECTIONS else None

    def exec_module(self, module):
        exec(compile(CORRECTIONS[module.__name__], f"{module.__name__}.py", "exec"), module.__dict__)


sys.meta_path.append(Corrections())
loading = threading.RLock()


def corrections_of(service):
    """A service's corrections, made when moto first needs the service: to load all would double the start."""
    with loading:
        name = f"lab_{service}"
        return importlib.import_module(name) if name in CORRECTIONS else None


def corrected_app(service):
    corrections_of(service)
    return create_backend_app(service)


dispatcher = DomainDispatcherApplication(corrected_app)


def own(environ, start_response):
    """The lab's own questions and wishes, which no API of AWS has: POST /_lab/<service>/<what> with JSON."""
    status, answer = "200 OK", {}
    try:
        _, _, service, what = environ["PATH_INFO"].split("/")
        body = json.loads(environ["wsgi.input"].read() or b"{}")
        known = getattr(corrections_of(service), "LAB", {})
        if what in known:
            answer = known[what](body.pop("account", "111122223333"), body)
        else:
            status, answer = "404 Not Found", f"there is no {service}/{what}; {service} has {', '.join(known)}"
    except Exception as error:
        traceback.print_exc()
        status, answer = "400 Bad Request", f"{type(error).__name__}: {error}"
    text = json.dumps(answer, default=str).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]


def application(environ, start_response):
    # moto wants the path as it was sent (a key with an encoded slash) under the name that werkzeug's server gives it.
    environ["RAW_URI"] = environ["REQUEST_URI"]
    if environ["PATH_INFO"].startswith("/_lab/"):
        return own(environ, start_response)
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
    # Head and body of an answer in one go: each hand-over to the system is one of the interpreter's lock, too.
    send_bytes=65536,
)
os.write(announce, b"port %d\n" % int(server.effective_port))
os.close(announce)

# S3 is what nearly every caller asks first; this is a good part of its first answer.
threading.Thread(target=dispatcher.get_application, args=({"PATH_INFO": "/"},), daemon=True).start()
server.run()
