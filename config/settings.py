"""Settings, driven by the environment. Without any variable: SQLite, the embedded broker, everything under var/.

docs/operations.md explains each variable.
"""

import logging
import sys
from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.environment import Environment, installation_key, writable_folder
from config.log_lines import configure_structlog, logging_of
from config.single_sign_on import single_sign_on

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()

VAR_DIR = Path(env.str("SEMBLANCE_VAR", default=str(BASE_DIR / "var"))).resolve()
DEBUG = env.bool("DEBUG", default=False)
HTTPS = env.bool("HTTPS", default=False)  # served behind TLS: secure cookies, HSTS, redirect
SECRET_KEY = env.str("SECRET_KEY", default="") or installation_key(VAR_DIR)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
if "*" in ALLOWED_HOSTS and not DEBUG:
    raise ImproperlyConfigured("ALLOWED_HOSTS holds *, which lets any host name in: name the hosts, or set DEBUG.")

INSTALLED_APPS = [
    "generation",
    "scoring",
    "annotation",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "csp",
    "django_structlog",
]

MIDDLEWARE = [
    "config.health.HealthMiddleware",
    "config.failures.JsonErrorsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "config.failures.InputMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "annotation.web.access.guard.GuardMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "config.logs.RequestLogMiddleware",
    "config.failures.OutageMiddleware",  # last: it sees a view's fault first
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "annotation.web.access.guard.roles",
                "annotation.web.access.guard.ways_in",
                "annotation.web.researcher.notices.unread_notices",
            ],
        },
    },
]

FORM_RENDERER = "config.form_rendering.FormRenderer"

# --- database -----------------------------------------------------------------------------------
DATABASES = {"default": env.database("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'semblance.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    writable_folder(VAR_DIR)
    # Kept open: closing the last connection would write the whole log back into the file, in every request.
    DATABASES["default"]["CONN_MAX_AGE"] = None
    DATABASES["default"]["OPTIONS"] = {
        # IMMEDIATE: a writing transaction waits for the lock at its start; with DEFERRED it fails half-way.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # FULL: an acknowledged vote survives a power cut.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;",
    }
else:
    DATABASES["default"]["ENGINE"] = "config.postgresql"
    DATABASES["default"]["CONN_MAX_AGE"] = 0  # the pool keeps the connections
    DATABASES["default"]["OPTIONS"] = {
        "pool": {
            "min_size": 1,
            "max_size": env.int("DATABASE_POOL", default=env.int("WEB_THREADS", default=8)),
            "timeout": 1.5,  # seconds that a thread waits for a connection: the answer is 503 then
            "reconnect_timeout": 1,  # short, so that the pool tries again at the next request, not minutes later
        },
        "connect_timeout": 2,
        "tcp_user_timeout": 2_000,  # ms without a sign of life, after which a machine that vanished counts as gone
        # The statements of a vote (voting/storage/sql.py) are planned once for each connection and size of ids.
        "prepare_threshold": 5,
        "options": "-c plan_cache_mode=force_generic_plan",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- queue --------------------------------------------------------------------------------------
CELERY_BROKER_URL = env.broker("CELERY_BROKER_URL", default=f"sqla+sqlite:///{VAR_DIR / 'broker.sqlite3'}")
CELERY_TASK_IGNORE_RESULT = True  # the job table is the truth
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_TASK_DEFAULT_QUEUE = "control"
# Scoring goes before generation: it takes seconds, so a study with all images does not wait for another's thousands.
# On RabbitMQ the largest number goes first, on Redis and the embedded queue the smallest.
IS_RABBITMQ = CELERY_BROKER_URL.startswith(("amqp", "pyamqp"))
FIRST, LAST = (9, 0) if IS_RABBITMQ else (0, 9)
if IS_RABBITMQ:
    CELERY_TASK_QUEUE_MAX_PRIORITY = 9
CELERY_TASK_ANNOTATIONS = {"*": {"Request": "config.one_message:JobRequest"}}
CELERY_TASK_ROUTES = {
    "generation.tasks.run_endpoint_job": {"queue": "endpoints"},
    "generation.tasks.*": {"queue": "gpu", "priority": LAST},
    "scoring.tasks.*": {"queue": "gpu", "priority": FIRST},
    "annotation.tasks.*": {"queue": "control"},
}
TASKS_AFTER_JOBS = dict.fromkeys(
    (
        *("generation.tasks.run_model_trial", "generation.tasks.run_generation_job"),
        "scoring.tasks.run_scoring_job",
    ),
    "annotation.tasks.advance_after",
)
CELERY_TASK_TIME_LIMIT = 6 * 3600  # far above worker_lost_wait, else a killed task is not sent again
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A page that sends a message retries once at once, then leaves it to the tick: the job's row is stored.
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
REDIS_SECONDS = {"socket_connect_timeout": 2, "socket_timeout": 5}  # the longest that a thread waits if Redis is down
if CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "visibility_timeout": 8 * 3600,  # longer than any task, so no message is delivered again while its task runs
        **REDIS_SECONDS,
    }
CELERY_WORKER_POOL_START_METHOD = "spawn"  # CUDA does not survive a fork
CELERY_WORKER_PROC_ALIVE_TIMEOUT = 60.0  # a spawned process imports everything again; after 4 s Celery would kill it
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = 20  # below stop_grace_period in docker-compose.yml
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BEAT_SCHEDULE = {
    "tick": {"task": "annotation.tasks.tick", "schedule": 30, "options": {"expires": 25}},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(VAR_DIR / "beat-schedule")
NVIDIA_SMI = env.str("NVIDIA_SMI", default="nvidia-smi")  # the program that lists the cards of a host
OWN_METRICS_FILE = env.str("OWN_METRICS_FILE", default="")  # of a worker: docs/metrics.md
ENDPOINTS_FILE = env.str("ENDPOINTS_FILE", default="")  # of a worker: docs/endpoints.md
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")  # of the program that reads /metrics; without it only staff may
JOB_LEASE_SECONDS = env.int("JOB_LEASE_SECONDS", default=60)
JOB_STUCK_SECONDS = env.int("JOB_STUCK_SECONDS", default=1800)  # without a step, after which a process counts as hung
JOB_HEARTBEAT_SECONDS = env.int("JOB_HEARTBEAT_SECONDS", default=10)  # well below the lease

# --- limits: counted by address, by all web processes together ------------------------------------
if env.str("CACHE_URL", default=""):
    CACHES = {"default": env.cache_url("CACHE_URL")}
    if CACHES["default"]["BACKEND"].endswith("RedisCache"):
        CACHES["default"]["OPTIONS"] = REDIS_SECONDS | CACHES["default"].get("OPTIONS", {})
elif CELERY_BROKER_URL.startswith("redis"):
    CACHES = {
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": CELERY_BROKER_URL,
            "KEY_PREFIX": "semblance",
            "OPTIONS": REDIS_SECONDS,
        }
    }
else:
    CACHES = {
        "default": {
            "BACKEND": "annotation.web.access.database_cache.CountingDatabaseCache",
            "LOCATION": "annotation_cacheentry",  # the table of annotation.models.CacheEntry
            "OPTIONS": {"MAX_ENTRIES": 10_000},
        }
    }

TRUSTED_PROXIES = env.proxies("TRUSTED_PROXIES")
OPEN_LINK_JOINS_PER_MINUTE = env.int("OPEN_LINK_JOINS_PER_MINUTE", default=300)  # a lecture hall has one address

# --- models: how a worker's card is used -----------------------------------------------------------
KEEP_TEXT_ENCODERS_GIB = env.float("KEEP_TEXT_ENCODERS_GIB", default=2.0)  # larger ones leave before sampling
TRY_MODELS = env.bool("TRY_MODELS", default=True)  # make one image of each model before a study is launched
BATCH_SIZES_FILE = VAR_DIR / "batch_sizes.json"  # how many images fitted into a card's memory; may be deleted
COMPILED_ROOT = VAR_DIR / "compiled"  # what torch.compile made of denoisers; may be deleted
EMBED_WHILE_SAMPLING = env.bool("EMBED_WHILE_SAMPLING", default=False)  # the encoder stays beside the pipeline
MODEL_OFFLOAD = env.bool("MODEL_OFFLOAD", default=False)  # parts of a model wait in the machine's memory

# --- files --------------------------------------------------------------------------------------
IMAGE_MOST_BYTES = env.int("IMAGE_MOST_BYTES", default=64 * 2**20)  # of one image file that is read
IMAGE_MOST_PIXELS = env.int("IMAGE_MOST_PIXELS", default=40_000_000)  # of one image, before it is decoded
MEDIA_ROOT = VAR_DIR / "media"  # never served directly: annotators get opaque URLs, staff get checked views
PROMPT_CACHE_ROOT = VAR_DIR / "prompt_cache"  # encoded prompts of models with large text encoders; may be deleted
PROMPT_CACHE_BYTES = env.int("PROMPT_CACHE_BYTES", default=4 * 2**30)
UPLOADS_ROOT = VAR_DIR / "uploads"  # files on their way into a study; those that do not go on are deleted after a week
UPLOAD_MOST_BYTES = env.int("UPLOAD_MOST_BYTES", default=10 * 2**30)  # of one upload, and of what its zip file holds
UPLOAD_QUOTA_BYTES = env.int("UPLOAD_QUOTA_BYTES", default=20 * 2**30)  # of an account, until they are imported
UPLOAD_FREE_BYTES = env.int("UPLOAD_FREE_BYTES", default=2**30)  # that stay free on the disk of the var folder
REPORTS_ROOT = VAR_DIR / "reports"  # finished reports, each named by the hash of its input; may be deleted
IMAGE_CACHE_ROOT = VAR_DIR / "image-cache"  # copies of images of an object storage, for pages; may be deleted
IMAGE_CACHE_BYTES = env.int("IMAGE_CACHE_BYTES", default=2 * 2**30)

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(env.str("SEMBLANCE_STATIC", default=str(VAR_DIR / "static")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "images": env.image_storage("IMAGE_STORAGE"),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if DEBUG:
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}

# --- accounts -----------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
ACCOUNT_ADAPTER = "annotation.web.access.accounts.ClosedSignupAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_FORMS = {"reset_password": "annotation.web.access.accounts.PasswordLinkForm"}
ACCOUNT_RATE_LIMITS = {"reset_password": "20/m/ip,5/h/key"}  # key: the e-mail address that gets the mails
SINGLE_SIGN_ON = single_sign_on(env)
INSTALLED_APPS += SINGLE_SIGN_ON.apps
SOCIALACCOUNT_ADAPTER = "annotation.web.access.single_sign_on.admission.SignOnAdapter"
SOCIALACCOUNT_PROVIDERS = SINGLE_SIGN_ON.providers
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "studies"

# --- security -----------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:", "blob:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF],
    }
}
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# Off by default: both affect other host names too, and for a long time.
SECURE_HSTS_INCLUDE_SUBDOMAINS = env.bool("HSTS_INCLUDE_SUBDOMAINS", default=False)
SECURE_HSTS_PRELOAD = env.bool("HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]  # they demand the two above
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None

# --- language and time --------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"

# --- mail: password resets, notices, invitations ----------------------------------------------------------------------
if env.str("EMAIL_URL", default=""):
    globals().update(env.email_url("EMAIL_URL"))
else:
    EMAIL_BACKEND = "config.mail.PrivateFiles"
    EMAIL_FILE_PATH = VAR_DIR / "mail"
EMAIL_TIMEOUT = 10  # seconds that the tick waits for the mail server
INVITATION_MAILS_PER_HOUR = env.int("INVITATION_MAILS_PER_HOUR", default=500)  # of one account
SITE_URL = env.str("SITE_URL", default="")  # what links in mails begin with, if no page was open when they were made
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="semblance@localhost")

# --- logs ---------------------------------------------------------------------------------------
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False  # an annotator's address is private
DJANGO_STRUCTLOG_STATUS_4XX_LOG_LEVEL = logging.INFO  # Django logs it as a warning
DJANGO_STRUCTLOG_STATUS_5XX_LOG_LEVEL = logging.INFO
configure_structlog()
LOGGING = logging_of(
    env.log_level("LOG_LEVEL"), as_json=env.str("LOG_FORMAT", default="text") == "json", colors=sys.stderr.isatty()
)
