#!/usr/bin/env python3
"""Becomes Kamailio, with the arguments and the environment that the settings ask for: one process for a supervisor.

    METERLINE_SETTINGS=/etc/meterline/meterline.toml PYTHONPATH=/opt/meterline \
        /opt/meterline/.venv/bin/python docs/systemd/proxy.py /run/meterline

The folder holds the control socket (kamcmd -s unix:/run/meterline/kamailio.rpc). Kamailio stays in the foreground and
logs to standard error. A bad setting ends it at once, with exit code 1 and the setting's name.
"""

import os
import sys
from pathlib import Path

from billing import settings as settings_module
from billing.errors import SettingsError
from billing.privileges import drop_into_place, refuse_root
from stack import tls
from stack.kamailio import RPC_SOCKET, command, environment, make_state


def main() -> None:
    run_folder = Path(sys.argv[1])
    settings_path = Path(os.environ[settings_module.PATH_VARIABLE]).absolute()
    try:
        refuse_root()
        settings = settings_module.load(settings_path)
        drop_into_place(settings, settings_path)
        tls.prepare(settings, run_folder)
    except SettingsError as error:
        sys.exit(str(error))
    make_state(settings.node.state_dir)
    program, *arguments = command(settings, run_folder)
    os.chdir(run_folder)
    os.execve(program, [program, *arguments], environment(settings, settings_path, run_folder / RPC_SOCKET, run_folder))  # nosec B606  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
