# SPDX-License-Identifier: Apache-2.0
"""Programs of packages that tests/deps unpacked below $BUILD/cache, here and in test guests."""
import os
import re
import subprocess


def library_path(cache):
    """Where such a package has its libraries, for LD_LIBRARY_PATH."""
    return ':'.join(map(str, cache.glob('usr/lib/*-linux-*')))


def libraries(program, path):
    """What a program needs, as files of a guest: {path in the guest: file here}."""
    text = subprocess.run(['ldd', program], env={**os.environ, 'LD_LIBRARY_PATH': path}, stdout=subprocess.PIPE, text=True, check=True).stdout
    found = dict(re.findall(r'^\s*(\S+) => (/\S+|\S+/\S+) \(', text, re.M))
    found = {f'usr/lib/x86_64-linux-gnu/{name}': path for name, path in found.items()}
    loader = re.search(r'^\s*(/\S*ld-linux\S*)', text, re.M)[1]
    return {**found, loader[1:]: loader}
