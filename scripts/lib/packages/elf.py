"""The versions of glibc that a program needs, from its dynamic symbols."""

import re
import subprocess


def glibc(program):
    """Returns the newest version of glibc whose symbols the program uses, such as `2.34`."""
    symbols = subprocess.run(["objdump", "--dynamic-syms", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    versions = {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([0-9.]+)", symbols)}
    return ".".join(map(str, max(versions)))


def libraries(program):
    """Returns the names of the libraries that the program loads."""
    headers = subprocess.run(["objdump", "--private-headers", program], check=True, stdout=subprocess.PIPE, text=True).stdout
    return set(re.findall(r"NEEDED\s+(\S+)", headers))
