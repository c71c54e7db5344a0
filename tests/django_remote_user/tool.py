"""A Django site with its admin pages, which takes who is there from a header, as docs/tools/django.md says.

`tool.py PORT FOLDER`: serves on loopback, with its database in the folder. Alice is an administrator there, nobody else is known.
The page's own blocks of Python are taken as they stand: DJANGO_MIDDLEWARE has the first, DJANGO_SETTINGS the second.
"""

import os
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIServer, make_server

import django
from django.conf import settings

PORT, FOLDER = int(sys.argv[1]), sys.argv[2]

# site/identity.py and the settings of the page.
os.mkdir(f"{FOLDER}/site_of_ours")
with open(f"{FOLDER}/site_of_ours/identity.py", "w") as file:
    file.write(os.environ["DJANGO_MIDDLEWARE"])
sys.path.insert(0, FOLDER)
documented = {}
exec(os.environ["DJANGO_SETTINGS"], documented)

settings.configure(
    DEBUG=True,
    SECRET_KEY=os.urandom(32).hex(),
    ROOT_URLCONF=__name__,
    STATIC_URL="static/",
    INSTALLED_APPS=[f"django.contrib.{name}" for name in ("admin", "auth", "contenttypes", "sessions", "messages", "staticfiles")],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{FOLDER}/db.sqlite3"}},
    **{name: value for name, value in documented.items() if name.isupper()},
)
django.setup()

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("me", lambda request: HttpResponse(f"<p id='me'>{request.user.get_username() or 'nobody'}</p>")),
]


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


call_command("migrate", verbosity=0)
get_user_model().objects.create_superuser("alice")
make_server("127.0.0.1", PORT, StaticFilesHandler(get_wsgi_application()), Server).serve_forever()
