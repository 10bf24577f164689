"""Check that the database has the tables of this version of Semblance, and name the command that makes them."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from jobs.wording import command, counted


def version_fault(*, may_be_behind: bool = False) -> str:
    """A sentence where the database is not of this version, or only where it is newer; empty where it fits."""
    executor = MigrationExecutor(connection)
    return _newer(executor.loader) or ("" if may_be_behind else _behind(executor))


def _newer(loader: MigrationLoader) -> str:
    known = set(loader.disk_migrations).union(*(migration.replaces for migration in loader.replacements.values()))
    apps = {app for app, _ in known}
    strange = sorted(key for key in loader.applied_migrations or () if key[0] in apps and key not in known)
    if not strange:
        return ""
    return (
        f"The database belongs to a newer version of Semblance than this one, which does not know its migration "
        f"{'.'.join(strange[-1])}; nothing was changed. Update the code with `git pull`."
    )


def _behind(executor: MigrationExecutor) -> str:
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not missing:
        return ""
    if not executor.loader.applied_migrations:
        return f"There is no database yet; make it with `{command('migrate')}`."
    steps = counted(len(missing), "step")
    return f"The database is of an older version ({steps} behind); bring it up to date with `{command('migrate')}`."
