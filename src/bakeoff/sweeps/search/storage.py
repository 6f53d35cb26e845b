"""Where a study is kept: a file in the sweep's folder, or a database server. No torch here."""

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from bakeoff.errors import ConfigError, ResourceError
from bakeoff.sweeps.search.patience import Patience, is_away, patient, reason
from bakeoff.sweeps.search.url import JOURNAL, SERVER, SQLITE, kind_of, masked

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

DATABASE, LOG = "study.db", "study.log"
_SECONDS_FOR_A_LOCK = 60  # that SQLite waits for another process
_DRIVERS = {"psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}


def be_quiet() -> None:
    """Optuna writes to standard error what we say ourselves, and warns of what we have chosen."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    logging.getLogger("alembic").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"optuna(\..*)?")
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def open_storage(folder: Path, storage: str, patience: Patience) -> "BaseStorage":
    """Opens it, and makes what is not there: to be called by the one process that holds the study's lock.

    Args:
        folder: the sweep's.
        storage: `tune.storage`.
        patience: for its calls from now on; a server that is not there now is an error.

    Raises:
        ConfigError: no such kind, a URL that is none, or its driver is not installed.
        ResourceError: the server does not answer, or the file cannot be opened.
    """
    kind = kind_of(storage)
    if kind == JOURNAL:
        return patient(_journal(folder / LOG), patience)
    return patient(_database(_url(folder, storage), is_server=kind == SERVER), patience)


def _url(folder: Path, storage: str) -> str:
    if storage == SQLITE:
        # Four slashes before a path from the root; what SQLAlchemy would decode in it is encoded.
        return f"sqlite:///{folder.absolute() / DATABASE}".replace("?", "%3F")
    if "://" not in storage:
        raise ConfigError(
            f"tune.storage={storage}: sqlite, journal, or the URL of a database server, as "
            "postgresql+psycopg://USER@HOST/DATABASE"
        )
    return storage


def _journal(path: Path) -> "BaseStorage":
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    try:
        # Absolute: its lock is a link to this path. One that a killed process has left is removed after half
        # a minute, but if it led nowhere it would be waited for without end.
        return JournalStorage(JournalFileBackend(str(path.absolute())))
    except (OSError, ValueError) as error:
        raise ResourceError(f"{path}: cannot be opened as a study's journal ({error})") from error


def _database(url: str, *, is_server: bool) -> "BaseStorage":
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

    shown = f"tune.storage={masked(url)}" if is_server else url.removeprefix("sqlite:///")
    options = {"pool_pre_ping": True} if is_server else {"connect_args": {"timeout": _SECONDS_FOR_A_LOCK}}
    try:
        return get_storage(RDBStorage(url, engine_kwargs=options))
    # Without their causes: a driver's error may hold the password.
    except ImportError as error:
        module = error.name or getattr(error.__cause__, "name", None)
        module = module or url.partition(":")[0].rpartition("+")[2]
        name = _DRIVERS.get(module, module)
        raise ConfigError(f"{shown}: its driver is not installed: pip install {name}") from None
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigError(
            f"{shown}: no URL of a database ({reason(error)}); write "
            "tune.storage=postgresql+psycopg://USER@HOST/DATABASE"
        ) from None
    except Exception as error:
        if not is_away(error) and not isinstance(error, SQLAlchemyError | RuntimeError):
            raise
        todo = "start the server, or give another tune.storage" if is_server else "it is no study's database"
        raise ResourceError(f"{shown}: cannot be opened ({reason(error)}); {todo}") from None
