#!/bin/bash
# Real S3 engines on loopback: Ceph RGW 20 (monitor, one OSD in memory, gateway) and moto 5.
#   engine.sh unpack DIR         downloads and unpacks both: 1 to 4 minutes, 200 MB to load, 700 MB of disk. Does nothing
#                                when DIR is complete.
#   engine.sh run rgw DIR PORT   runs until standard input ends. Prints the endpoint once it answers (15 to 30 s).
#   engine.sh run moto DIR PORT  the same, within 8 s.
# Debian's stable packages are too old, so that those of sid are unpacked without running their scripts, and run in a
# chroot: needs root. Processes and mounts live in namespaces of their own, which end with the script: nothing stays
# mounted below DIR, where a removal of node_modules would otherwise reach /dev.
set -u
DATA=/var/lib/ceph/test

mirror() {
  { awk '/^URIs:/ { print $2 }' /etc/apt/sources.list.d/*.sources
    awk '/^deb / { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; break } }' /etc/apt/sources.list
  } 2>/dev/null | grep -E '/debian/?$' | head -1
}

unpack() {
  [ -e "$ROOT/.complete" ] && return
  set -e
  local apt=$ROOT.apt deb options=()
  rm -rf "$ROOT" "$apt"
  mkdir -p "$apt"/{lists/partial,cache/archives/partial} "$ROOT"
  : >"$apt/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) sid main" >"$apt/sid.list"
  for option in \
    "Dir::Etc::SourceList=$apt/sid.list" "Dir::Etc::SourceParts=/dev/null" "Dir::Etc::Preferences=/dev/null" \
    "Dir::Etc::PreferencesParts=/dev/null" "Dir::State::Lists=$apt/lists" "Dir::State::status=$apt/status" \
    "Dir::Cache=$apt/cache" "APT::Install-Recommends=0" "APT::Sandbox::User=root" "Acquire::Languages=none"; do
    options+=(-o "$option")
  done
  apt-get "${options[@]}" -qq update
  apt-get "${options[@]}" -y -qq --download-only install \
    radosgw ceph-mon ceph-osd ceph-common python3-moto python3-flask-cors base-files bash coreutils >"$apt/log" 2>&1
  mkdir -p "$ROOT"/usr/{bin,sbin,lib,lib64} "$ROOT"/{tmp,proc,dev,etc,var/lib/ceph,root,run}
  for name in bin sbin lib lib64; do ln -s "usr/$name" "$ROOT/$name"; done
  for deb in "$apt"/cache/archives/*.deb; do
    case $(basename "$deb") in
      linux-* | systemd_* | udev_* | cryptsetup* | lvm2* | dmsetup* | gdisk* | ceph-volume* | nodejs* | gcc-*-base* | *-doc_* | tzdata*) continue ;;
    esac
    dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$ROOT" --keep-directory-symlink \
      --exclude='./usr/share/doc' --exclude='./usr/share/man' --exclude='./usr/share/locale' --exclude='./usr/share/info'
  done
  chmod 1777 "$ROOT/tmp"
  echo 'root:x:0:0:root:/root:/bin/bash' >"$ROOT/etc/passwd"
  echo 'root:x:0:' >"$ROOT/etc/group"
  chroot "$ROOT" /usr/bin/radosgw --version
  rm -rf "$apt"
  touch "$ROOT/.complete"
}

free_ports() {
  node -e "
    const servers = Array.from({ length: $1 }, () => require('node:net').createServer().listen(0, '127.0.0.1'))
    Promise.all(servers.map((server) => require('node:events').once(server, 'listening'))).then(() => {
      console.log(...servers.map((server) => server.address().port))
      process.exit()
    })"
}

answers() {
  for _ in $(seq 1200); do
    (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && return
    sleep 0.1
  done
  echo "nothing answers on port $PORT" >&2
  exit 1
}

configure() {
  local v2 v1
  read -r v2 v1 < <(free_ports 2)
  MONITOR="[v2:127.0.0.1:$v2,v1:127.0.0.1:$v1]"
  # Small parts, so that tests need few bytes. A second engine of another test run may be on the usual ports.
  cat >"$ROOT$DATA/ceph.conf" <<END
[global]
fsid = $FSID
mon_initial_members = a
mon_host = $MONITOR
keyring = $DATA/keyring
auth_allow_insecure_global_id_reclaim = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 8
osd_pool_default_pg_autoscale_mode = off
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 5000
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = ${S3_ENGINE_BYTES:-8589934592}
ms_bind_ipv6 = false
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
run_dir = $DATA/run
admin_socket = $DATA/run/\$name.asok
log_file = $DATA/log/\$name.log
pid_file =
mon_data = $DATA/mon
osd_data = $DATA/osd
rgw_data = $DATA/rgw
ms_type = async+posix
mon_data_avail_warn = 1
mon_data_avail_crit = 1
osd_max_object_name_len = 2048
osd_max_object_namespace_len = 256
[osd]
keyring = $DATA/osd/keyring
[client.rgw]
keyring = $DATA/rgw/keyring
rgw_frontends = beast endpoint=127.0.0.1:$PORT
rgw_enable_usage_log = false
rgw_thread_pool_size = 64
rgw_multipart_min_part_size = ${S3_ENGINE_PART:-65536}
rgw_gc_obj_min_wait = 5
rgw_gc_processor_period = 10
END
}

# Runs a command in the chroot until it succeeds.
until_success() { for _ in $(seq 300); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done; return 1; }

start_rgw() {
  local in="chroot $ROOT" conf="-c $DATA/ceph.conf" osd
  FSID=$(cat /proc/sys/kernel/random/uuid)
  configure
  $in monmaptool --create --addv a "$MONITOR" --fsid "$FSID" $DATA/monmap
  $in ceph-authtool --create-keyring $DATA/keyring --gen-key -n mon. --cap mon 'allow *'
  $in ceph-authtool $DATA/keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
  $in ceph-mon $conf --mkfs -i a --monmap $DATA/monmap --keyring $DATA/keyring
  $in ceph-mon $conf -i a -f --keyring $DATA/keyring >"$ROOT$DATA/log/mon.out" 2>&1 &
  until_success $in timeout 5 ceph $conf mon stat
  osd=$(cat /proc/sys/kernel/random/uuid)
  $in ceph $conf osd new "$osd"
  $in ceph $conf auth get-or-create osd.0 mon 'allow profile osd' osd 'allow *' mgr 'allow *' -o $DATA/osd/keyring
  $in ceph $conf auth get-or-create client.rgw mon 'allow *' osd 'allow *' mgr 'allow *' -o $DATA/rgw/keyring
  $in ceph-osd $conf -i 0 --mkfs --osd-uuid "$osd"
  $in ceph-osd $conf -i 0 -f >"$ROOT$DATA/log/osd.out" 2>&1 &
  until_success eval "$in ceph $conf osd stat | grep -q '1 up'"
  $in radosgw-admin $conf -n client.rgw user create --uid=test --display-name=test --access-key=testkey --secret-key=testsecret
  $in radosgw $conf -n client.rgw -f >"$ROOT$DATA/log/rgw.out" 2>&1 &
}

start_moto() {
  chroot "$ROOT" /usr/bin/python3 /usr/bin/moto_server -H 127.0.0.1 -p "$PORT" >"$ROOT$DATA/log/moto.out" 2>&1 &
}

# Inside the namespaces, as their first process: when it ends, the kernel ends all others.
inside() {
  mount --bind /dev "$ROOT/dev"
  mount -t proc proc "$ROOT/proc"
  mount -t tmpfs tmpfs "$ROOT/var/lib/ceph"
  mkdir -p "$ROOT$DATA"/{mon,osd,rgw,run,log}
  if [ "$ENGINE" = rgw ]; then
    start_rgw </dev/null >"$ROOT$DATA/log/start.out" 2>&1
  else
    start_moto </dev/null
  fi
  answers
  echo "http://127.0.0.1:$PORT"
  cat >/dev/null
}

case ${1:-} in
  unpack) ROOT=$(realpath -m "$2") && unpack ;;
  run) exec unshare --mount --propagation private --pid --fork --kill-child bash "$0" inside "$2" "$(realpath "$3")" "$4" ;;
  inside) ENGINE=$2 ROOT=$3 PORT=$4 && inside ;;
  *) echo 'usage: engine.sh unpack DIR | run rgw|moto DIR PORT' >&2 && exit 2 ;;
esac
