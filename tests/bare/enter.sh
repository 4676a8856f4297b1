#!/usr/bin/env bash
# enter.sh ROOT COMMAND...: makes a directory the root of this process and runs a command there. Must be called in mount and
# process namespaces of its own. A real root, not chroot: PostgreSQL's user namespace is not to be had in a chroot.
set -euo pipefail

new_root=$1
shift

mount --bind "$new_root" "$new_root"
cd "$new_root"
mount -t proc proc proc
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
    touch "dev/$node"
    mount --bind "/dev/$node" "dev/$node"
done
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr
mkdir dev/shm dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp

mkdir old-root
pivot_root . old-root
cd /
umount -l /old-root
rmdir /old-root
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 bash "$@"
