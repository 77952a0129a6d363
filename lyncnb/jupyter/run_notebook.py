"""Run a notebook without a browser, and write the executed copy and a static page.

The kernel receives the passphrase as the answer to ``getpass``, as if a person typed it.
The passphrase is never in the kernel's environment or arguments, and never in the two
files.
"""

from __future__ import annotations

import asyncio
import atexit
import html
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn, TypeVarTuple

from ..base.disk.outputs import OutputKind, check_output_path, is_request_folder
from ..errors import KernelPortTaken, LyncnbError, NotebookError, Problem
from ..pki.passphrase import PROMPTS, runs_without_user
from .encrypted_channels import get_encryption_setting
from .first_page import find_shown_counts
from .notebook_files import Notebook, read_notebook, write_notebook
from .shared_page import PAGE, share_notebook

if TYPE_CHECKING:
    from nbclient.exceptions import CellExecutionError

    from ..pki.passphrase import Secret

_Args = TypeVarTuple("_Args")

# The number of attempts to start a kernel. Another program can take a port after lyncnb has found
# that the port is free. The next attempt uses other ports.
_STARTS = 3

# The metadata key that marks an executed copy. The next run may replace a file with this key.
_MARK = "lyncnb"


def _is_executed_copy(file: IO[bytes]) -> bool:
    # Read only the end of the file, because it contains the metadata of the notebook.
    file.seek(0, os.SEEK_END)
    file.seek(max(file.tell() - (1 << 16), 0))
    return f'"{_MARK}": {{'.encode() in file.read()


#: The type of file for an executed copy of a notebook.
EXECUTED = OutputKind(what="an executed notebook", is_ours={".ipynb": _is_executed_copy})

_PASSPHRASE_VARIABLE = "LYNCNB_PASSPHRASE"

#: The variable that lyncnb sets in a kernel that runs a notebook without a browser. Because nobody
#: can press a button in such a notebook, each panel starts its work at once. The value is not a
#: secret.
UNATTENDED_VARIABLE = "LYNCNB_UNATTENDED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookRun:
    """The result of running a notebook.

    ``executed`` is the copy with its outputs, and ``page`` is the static HTML page. ``cells``
    is the number of code cells that ran. ``totals`` has the numbers of certificates, findings and
    names in the first plan editor, or "". ``request_folders`` lists the request folders next to the
    notebook that its code names.
    """

    executed: Path
    page: Path
    cells: int
    totals: str = ""
    request_folders: tuple[Path, ...] = ()


def is_unattended() -> bool:
    """Return whether the kernel runs a notebook without a user.

    ``lyncnb`` sets a variable in its kernels. Other programs, such as papermill and nbconvert,
    answer no prompt. Voila does not either, but shows the panels to a user.
    """
    setting = os.environ.get(UNATTENDED_VARIABLE)
    if setting is not None:
        return setting == "1"
    is_page = os.environ.get("SERVER_SOFTWARE", "").startswith("voila")
    return runs_without_user() and not is_page


def run_notebook(
    path: str | Path,
    *,
    passphrase: Callable[[], Secret] | None = None,
    progress: Callable[[int, int], None] | None = None,
    force: bool = False,
) -> NotebookRun:
    """Run a notebook from top to bottom, in a kernel of the current Python environment.

    Parameters
    ----------
    path : path
        The notebook. It does not change, and it runs in its folder.
    passphrase : callable, optional
        A function that returns the passphrase. It is called at most once, if a cell asks for a
        passphrase.
    progress : callable, optional
        A function to call with (finished code cells, all code cells) after each cell.
    force : bool, optional
        Whether to replace files that lyncnb did not write.

    Returns
    -------
    NotebookRun
        The files ``NAME.executed.ipynb`` and ``NAME.executed.html`` next to the notebook.

    Raises
    ------
    NotebookError
        If a cell failed. Both files then contain the outputs up to that cell. Also if the
        kernel did not start, or if Jupyter's libraries are too old to encrypt its channels. Then
        nothing is written.
    UnreadableNotebook
        If the file does not exist or is not a notebook.
    LyncnbError
        The error of ``passphrase``, if there is no passphrase.
    OutputError
        If one of the two files exists and an earlier run did not write it.
    """
    path = Path(path)
    executed = path.parent / f"{path.stem}.executed.ipynb"
    check_output_path(executed, EXECUTED, force=force, inputs=(path,))
    check_output_path(executed.with_suffix(".html"), PAGE, force=force)
    notebook = read_notebook(path)
    for attempts_left in reversed(range(_STARTS)):
        try:
            with asyncio.Runner(loop_factory=_InterruptibleLoop) as runner:
                failure = runner.run(_execute_notebook(notebook, path, passphrase, progress))
            break
        except KernelPortTaken:
            if not attempts_left:
                raise
    notebook.metadata[_MARK] = {"executed": path.name}
    write_notebook(notebook, executed, kind=EXECUTED, force=force)
    page = share_notebook(executed, is_for_others=False, force=force).page
    if failure is not None:
        raise failure
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    folders = _find_request_folders(notebook, path.parent)
    totals = next((html.unescape(text[3:-4]) for _, text in find_shown_counts(notebook)), "")
    return NotebookRun(
        executed=executed, page=page, cells=cells, totals=totals, request_folders=folders
    )


def rerun_notebook(
    path: str | Path,
    *,
    passphrase: Callable[[], Secret] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Notebook:
    """Run a notebook like :func:`run_notebook`, but without pressing buttons or writing files.

    Returns
    -------
    Notebook
        The notebook with the outputs of this run.

    Raises
    ------
    NotebookError
        In the same cases as in :func:`run_notebook`.
    """
    path = Path(path)
    notebook = read_notebook(path)
    with asyncio.Runner(loop_factory=_InterruptibleLoop) as runner:
        failure = runner.run(
            _execute_notebook(notebook, path, passphrase, progress, runs_unattended=False)
        )
    if failure is not None:
        raise failure
    return notebook


def _find_request_folders(notebook: Notebook, parent: Path) -> tuple[Path, ...]:
    """Return the request folders in `parent` that the code of a notebook mentions."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return tuple(
        folder
        for folder in sorted(parent.iterdir())
        if folder.is_dir() and folder.name in code and is_request_folder(folder)
    )


class _InterruptibleLoop(asyncio.SelectorEventLoop):
    """An event loop without nbclient's signal handler, so that Ctrl-C ends the notebook."""

    def add_signal_handler(
        self, sig: int, callback: Callable[[*_Args], object], *args: *_Args
    ) -> NoReturn:
        # If this call raises RuntimeError, nbclient runs the notebook without a signal handler.
        raise RuntimeError("signal handlers are available only in the main thread")


@contextmanager
def _allow_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C stop a blocking call, such as a question, even while the event loop waits."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


async def _execute_notebook(
    notebook: Notebook,
    path: Path,
    passphrase: Callable[[], Secret] | None,
    progress: Callable[[int, int], None] | None,
    *,
    runs_unattended: bool = True,
) -> LyncnbError | None:
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    client = _make_client(notebook, path)
    answers = _PassphraseAnswers(client, passphrase)
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]

    def report_start(cell_index: int, **_: Any) -> None:
        answers.cell = f"{path.name} cell {cell_index + 1}"

    def report_end(cell_index: int, **_: Any) -> None:
        if progress is not None and cell_index in code:
            progress(code.index(cell_index) + 1, len(code))

    client.on_notebook_start = answers.start
    client.on_cell_start = report_start
    client.on_cell_executed = report_end
    # The passphrase is removed from the environment, so that no child process inherits it.
    environment = {k: v for k, v in os.environ.items() if k != _PASSPHRASE_VARIABLE}
    environment[UNATTENDED_VARIABLE] = "1" if runs_unattended else ""
    # The kernel's own messages, such as the message that it is stopping, do not help the user and
    # are hidden.
    with tempfile.TemporaryFile() as kernel_log:
        try:
            await client.async_execute(env=environment, stderr=kernel_log)
        except CellExecutionError as error:
            return answers.failure or _make_cell_error(answers.cell, error)
        except DeadKernelError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():  # Ctrl-C ended the kernel.
                raise asyncio.CancelledError from None
            return NotebookError(
                f"{answers.cell}: the kernel stopped unexpectedly",
                hint="check whether the computer ran out of memory, and run the notebook again",
            )
        except RuntimeError as error:
            if answers.is_started:
                raise
            # The kernel did not start, so there is nothing to clean up.
            atexit.unregister(client._cleanup_kernel)
            raise _make_start_error(path, kernel_log, str(error)) from None
        finally:
            answers.stop()
    return None


def _make_start_error(path: Path, log_text: IO[bytes], reason: str) -> NotebookError:
    """Return the error for a kernel that did not start.

    The last line of Python's output contains the cause.
    """
    message = f"{path.name}: the kernel did not start"
    if "transport_encryption" in reason:
        return NotebookError(
            (
                f"{message}, because the kernel cannot encrypt its connection to Jupyter. A "
                "passphrase may pass through this connection"
            ),
            hint="install ipykernel again, and remove other kernels with the name python3; "
            "to list them, run: jupyter kernelspec list",
        )
    log_text.seek(max(log_text.seek(0, os.SEEK_END) - (1 << 12), 0))
    lines = log_text.read().decode("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    if not last:
        hint = "check whether the computer has enough memory, and run the notebook again"
        return NotebookError(message, hint=hint)
    if "in use" in last:
        # On Linux, the message is "Address already in use", and on Windows "Address in use".
        return KernelPortTaken(
            message,
            hint=(f"run the notebook again. The last output of the kernel was: {last[:300]}"),
        )
    hint = "check whether a file in the notebook's folder has the same name as a Python module"
    return NotebookError(message, hint=f"{hint}. The kernel reported: {last[:300]}")


def _make_client(notebook: Notebook, path: Path) -> Any:
    from nbclient import NotebookClient
    from traitlets.config import Config

    return NotebookClient(
        notebook,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent.resolve())}},
        timeout=None,
        record_timing=False,
        # By default, nbclient would save every value of the widgets in the notebook.
        store_widget_state=False,
        config=Config({"KernelManager": {"transport_encryption": get_encryption_setting()}}),
    )


class _PassphraseAnswers:
    """The object that answers ``getpass`` in the kernel, and rejects all other questions."""

    def __init__(self, client: Any, passphrase: Callable[[], Secret] | None) -> None:
        self.failure: LyncnbError | None = None
        self.cell = ""
        self._make_client = client
        self._passphrase = passphrase
        self._secret: Secret | None = None
        self._task: asyncio.Future[None] | None = None

    @property
    def is_started(self) -> bool:
        return self._task is not None

    def start(self, **_: Any) -> None:
        self._make_client.kc.allow_stdin = True
        self._task = asyncio.ensure_future(self._listen())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _listen(self) -> None:
        while True:
            message = await self._make_client.kc.get_stdin_msg()
            if message["msg_type"] != "input_request":
                continue
            try:
                answer = self._answer(message["content"])
            except LyncnbError as error:
                self.failure = error
                # The cell waits for input that never arrives, so lyncnb interrupts the cell.
                await self._make_client.km.interrupt_kernel()
            else:
                self._make_client.kc.input(answer.reveal())

    def _answer(self, question: dict[str, Any]) -> Secret:
        # The folder's passphrase must not be used to answer other hidden questions, such as one for
        # a PFX password.
        is_ours = question.get("password") and question.get("prompt") in PROMPTS
        if not is_ours or self._passphrase is None:
            raise NotebookError(
                (
                    f'{self.cell} asks "{question.get("prompt", "").strip()}", but nobody '
                    "can answer while the notebook runs"
                ),
                hint="set the value in the parameters cell, or run the notebook in JupyterLab",
            )
        if self._secret is None:
            with _allow_ctrl_c():
                self._secret = self._passphrase()
        return self._secret


def _make_cell_error(cell: str, error: CellExecutionError) -> NotebookError:
    # The messages of errors from lyncnb are complete. For other errors, the type of the exception
    # is added.
    if any(error.ename == kind.__name__ for kind in _list_error_types(LyncnbError)):
        message, *lines = error.evalue.splitlines() or [""]
        hints = [line.strip() for line in lines if line.strip().startswith("hint: ")]
        return NotebookError(
            f"{cell} failed: {message}",
            problems=tuple(
                Problem(message=line.strip()) for line in lines if line.strip() not in hints
            ),
            hint="; ".join(hint.removeprefix("hint: ") for hint in hints),
        )
    return NotebookError(
        f"{cell} failed: {error.ename}: {error.evalue}",
        hint=(
            "to see the cell and the output, open the executed copy in the same folder "
            "as the notebook"
        ),
    )


def _list_error_types(kind: type[LyncnbError]) -> list[type[LyncnbError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in _list_error_types(child))]
