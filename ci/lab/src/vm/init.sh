#!/bin/busybox sh
# The guest's first process: mounts the host's root read-only with a layer in memory above it, runs /command in
# there, and hands its exit status to the host. ttyS0 is the kernel's console, ttyS1 carries the command's output,
# ttyS2 its exit status.
export PATH=/bin
/bin/busybox --install -s /bin
mkdir -p /dev /proc /sys /host /layer /merged
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
exec </dev/null >/dev/ttyS0 2>&1

give_up() {
    echo "init: $*"
    poweroff -f
}

# Were the host to end in the middle, nobody else would end this machine.
(sleep "$(cat /limit_s)" && poweroff -f) &

while read -r module; do
    insmod "/modules/$module" || give_up "$module cannot be loaded"
done </modules/order
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /host || give_up 'no root from the host'
mount -t tmpfs layer /layer
mkdir /layer/upper /layer/work
mount -t overlay -o lowerdir=/host,upperdir=/layer/upper,workdir=/layer/work merged /merged || give_up 'no overlay'
for kind in devtmpfs:dev proc:proc sysfs:sys tmpfs:run tmpfs:dev/shm; do
    mkdir -p "/merged/${kind#*:}"
    mount -t "${kind%:*}" "${kind%:*}" "/merged/${kind#*:}"
done
modules=/merged/lib/modules/$(uname -r)
mkdir -p "$modules"
mount --bind "/host$(cat /modules/folder)" "$modules" || give_up 'no modules from the host'
ifconfig lo 127.0.0.1 up
stty -F /dev/ttyS1 -opost
cp /command /merged/run/command

chroot /merged /bin/sh /run/command >/dev/ttyS1 2>&1
echo $? >/dev/ttyS2
poweroff -f
