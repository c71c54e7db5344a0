"""Django's own admin pages, as they come: `tool.py HOST PORT FOLDER`, its database in FOLDER.

The password of its two accounts, alice and bob, is in the environment (TOOL_PASSWORD).
"""

import os
import sys

import django
from django.conf import settings
from django.urls import path

HOST, PORT, FOLDER = sys.argv[1], int(sys.argv[2]), sys.argv[3]

settings.configure(
    DEBUG=True,
    SECRET_KEY=os.urandom(32).hex(),
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "django.contrib.staticfiles",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
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
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.path.join(FOLDER, "db.sqlite3"), "OPTIONS": {"timeout": 20}}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    STATIC_URL="/static/",
    USE_TZ=True,
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.contrib.staticfiles.handlers import StaticFilesHandler  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.servers.basehttp import get_internal_wsgi_application, run  # noqa: E402
from django.http import HttpResponse  # noqa: E402


def end_all_sessions(request):
    """What an operator does when something is wrong: everybody is signed out. By the tool's own address alone."""
    count, _ = Session.objects.all().delete()
    return HttpResponse(str(count))


urlpatterns = [path("end-all-sessions", end_all_sessions), path("admin/", admin.site.urls)]

call_command("migrate", verbosity=0)
for login in ["alice", "bob"]:
    User.objects.create_superuser(login, password=os.environ["TOOL_PASSWORD"])

run(HOST, PORT, StaticFilesHandler(get_internal_wsgi_application()), threading=True)
