"""Read any file with a table of servers as a DataFrame, and open a DataFrame as its file."""

from __future__ import annotations

import os

from ..base.disk.file_names import is_same_path
from ..base.pasted_text import show_path
from ..base.shown.frames import DataFrame
from ..base.shown.tables import to_frame
from ..errors import TopologyError
from .csv_file import TableSource, read_rows
from .rejected_cells import include_long_rows
from .topology import Topology, open_topology


def read_table(path: str | os.PathLike[str], *, encoding: str = "") -> DataFrame:
    """Read a table of servers as a pandas DataFrame, also if texts in it cannot be used.

    For a CSV file in UTF-8, it contains the same rows and texts as ``pd.read_csv(path, dtype=str,
    keep_default_na=False)``.

    Parameters
    ----------
    path : path
        A file that :func:`read_topology` reads: CSV in any of its encodings, a workbook, or a
        document from Topology Builder.
    encoding : str, optional
        As for :func:`read_topology`. If no encoding is certain, the most likely one is used.

    Returns
    -------
    DataFrame
        n rows of unchanged texts. Known headings are replaced by the names of their columns, such
        as ``server_fqdn`` and ``role``. ``attrs`` has the path and the
        encoding.

    Raises
    ------
    TopologyError
        If the file contains no table.
    """
    table = include_long_rows(read_rows(path, encoding))
    frame = to_frame(table.columns, zip(*(texts.list_cells() for texts in table.texts)))
    frame.attrs |= {"source": os.fspath(path), "encoding": encoding}
    return frame


def open_frame(frame: TableSource, path: str | os.PathLike[str], encoding: str = "") -> Topology:
    """Open the file that a DataFrame was read from, for an editor.

    Parameters
    ----------
    frame : DataFrame
        The table, from :func:`read_table` or ``pd.read_csv``.
    path : path
        The file.
    encoding : str, optional
        The encoding of the file, if it is not the encoding with which the DataFrame was read.

    Returns
    -------
    Topology
        As from :func:`open_topology` for the file, with its row numbers and notes. If the DataFrame
        or the file was changed since, the topology of the DataFrame, which is in no file yet.

    Raises
    ------
    TopologyError
        If one of them contains no table, or the DataFrame was read from another file.
    """
    attrs = getattr(frame, "attrs", {})
    source, frame_encoding = attrs.get("source", path), attrs.get("encoding", "")
    if isinstance(source, str) and not is_same_path(source, path):
        raise TopologyError(
            f"the DataFrame was read from {show_path(source)}, not from {show_path(path)}",
            hint="run the cell with ln.read_table again, and then this cell",
        )
    texts = [
        {name: column.list_cells() for name, column in zip(table.columns, table.texts)}
        for table in (
            include_long_rows(read_rows(source, frame_encoding)) for source in (frame, path)
        )
    ]
    return open_topology(
        path if texts[0] == texts[1] else frame, encoding=encoding or frame_encoding
    )
