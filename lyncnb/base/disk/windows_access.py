"""Restrict the access lists of folders on Windows, where file modes have no effect.

A private folder gives full access to its user, to SYSTEM and to Administrators, and to nobody else.
Its files and subfolders inherit this list.

Source: Microsoft, SetNamedSecurityInfoW and Security Descriptor String Format (Win32 API).
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from functools import cache

from . import system_calls

# The values of SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, PROTECTED_DACL_SECURITY_INFORMATION and
# SDDL_REVISION_1 in the Windows API.
_FILE, _DACL, _PROTECTED, _REVISION = 1, 4, 0x80000000, 1
_TOKEN_QUERY, _TOKEN_USER = 8, 1
# The SIDs of SYSTEM, of Administrators, of the file's owner, and of the placeholder for the creator
# of new files.
_ALLOWED = ("SY", "BA", "OW", "CO", "S-1-5-18", "S-1-5-32-544", "S-1-3-0", "S-1-3-4")
# Each entry of a Windows access list contains a type, flags, rights, and the user or group.
_ENTRY = re.compile(r"\((\w+);(\w*);([^;]*);[^;]*;[^;]*;([^;)]*)")


def restrict_access(path: str | os.PathLike[str]) -> bool:
    """Allow only the current user, SYSTEM and Administrators to access a file or folder.

    Returns
    -------
    bool
        False if this is not possible, as on a FAT disk and on some network shares.
    """
    if sys.platform != "win32":
        return False
    inherit = "OICI" if os.path.isdir(path) else ""
    users = "".join(f"(A;{inherit};FA;;;{sid})" for sid in (find_user_sid(), "SY", "BA"))
    security, size, present = ctypes.c_void_p(), ctypes.c_ulong(), ctypes.c_int()
    entries, default = ctypes.c_void_p(), ctypes.c_int()
    library = ctypes.WinDLL("advapi32", use_last_error=True)
    if not library.ConvertStringSecurityDescriptorToSecurityDescriptorW(
        f"D:P{users}", _REVISION, ctypes.byref(security), ctypes.byref(size)
    ):
        return False
    try:
        library.GetSecurityDescriptorDacl(
            security, ctypes.byref(present), ctypes.byref(entries), ctypes.byref(default)
        )
        full, information = os.path.abspath(path), ctypes.c_ulong(_DACL | _PROTECTED)
        library.SetNamedSecurityInfoW(full, _FILE, information, None, None, entries, None)
        # The emulator Wine ignores the call of SetNamedSecurityInfoW, so lyncnb also calls
        # SetFileSecurityW.
        if find_other_users(path):
            library.SetFileSecurityW(full, information, security)
    finally:
        ctypes.WinDLL("kernel32").LocalFree(security)
    return not find_other_users(path)


def find_other_users(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the SIDs of all other users and groups that have access to a file or folder.

    Returns
    -------
    tuple of str
        Empty on other systems than Windows. If there is no access list, so that everybody
        has access, the SID of Everyone.
    """
    if sys.platform != "win32":
        return ()
    library = ctypes.WinDLL("advapi32", use_last_error=True)
    free = ctypes.WinDLL("kernel32").LocalFree
    security, text = ctypes.c_void_p(), ctypes.c_wchar_p()
    if library.GetNamedSecurityInfoW(
        os.path.abspath(path), _FILE, _DACL, None, None, None, None, ctypes.byref(security)
    ):
        return ("S-1-1-0",)
    try:
        library.ConvertSecurityDescriptorToStringSecurityDescriptorW(
            security, _REVISION, _DACL, ctypes.byref(text), None
        )
        entries = _ENTRY.findall(text.value or "")
        free(text)
    finally:
        free(security)
    if not entries:
        return ("S-1-1-0",)
    allowed_sids = (*_ALLOWED, find_user_sid())
    return tuple(
        dict.fromkeys(sid for kind, _, _, sid in entries if kind == "A" and sid not in allowed_sids)
    )


@cache
def find_user_sid() -> str:
    """Return the SID of the current Windows user, or "" on other systems."""
    if sys.platform != "win32":
        return ""
    library, kernel = ctypes.WinDLL("advapi32"), ctypes.WinDLL("kernel32")
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    token, size, text = ctypes.c_void_p(), ctypes.c_ulong(), ctypes.c_wchar_p()
    process = ctypes.c_void_p(kernel.GetCurrentProcess())
    library.OpenProcessToken(process, _TOKEN_QUERY, ctypes.byref(token))
    try:
        library.GetTokenInformation(token, _TOKEN_USER, None, 0, ctypes.byref(size))
        data = ctypes.create_string_buffer(size.value)
        library.GetTokenInformation(token, _TOKEN_USER, data, size, ctypes.byref(size))
        # The data that Windows returns begins with a pointer to the SID.
        sid = ctypes.c_void_p.from_buffer(data)
        library.ConvertSidToStringSidW(sid, ctypes.byref(text))
    finally:
        kernel.CloseHandle(token)
    user_sid = text.value or ""
    kernel.LocalFree(text)
    return user_sid


def build_restrict_command(folder: str | os.PathLike[str]) -> str:
    """Return the command that restricts a folder. It works in cmd and in PowerShell."""
    path = os.path.realpath(folder)
    return f'icacls "{path}" /inheritance:r /grant:r "*{find_user_sid()}:(OI)(CI)F"'


def restrict_private_folder(path: str | os.PathLike[str]) -> str:
    """Restrict a private folder if others have access. If this fails, return a warning."""
    if not system_calls.WINDOWS or not find_other_users(path) or restrict_access(path):
        return ""
    return (
        f"other users of this computer can open {path}, and lyncnb cannot change the "
        "permissions. Only the passphrase protects the keys. Choose a different disk, "
        f"or run: "
        f"{build_restrict_command(path)}"
    )
