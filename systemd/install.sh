#!/usr/bin/env bash
# make install, make uninstall: puts what was built below PREFIX, and takes exactly that away again.
#
#   install.sh install|uninstall    with PREFIX, SYSCONFDIR, DESTDIR and BUILD from make
#
# What was put is listed in share/invoicegate/manifest. A second installation removes what the first one had and the new one
# has not. Configuration belongs to the host: it is put where there is none, and never changed or removed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

prefix=${PREFIX:?} config=${SYSCONFDIR:?}/invoicegate build=${BUILD:?}
root=${DESTDIR:-}
manifest=share/invoicegate/manifest
doc=share/doc/invoicegate
# Directories that are ours alone, the inner ones first.
own=(share/invoicegate/sql share/invoicegate/nginx share/invoicegate/grafana share/invoicegate "$doc/examples" "$doc")
placed=()

# Any text as what sed puts in place.
in_sed() {
    printf '%s' "$1" | sed 's/[\\&,]/\\&/g'
}

# Files name each other by their usual places.
with_places() {
    sed -e "s,/usr/local/,$(in_sed "$prefix")/,g" -e "s,/etc/invoicegate/,$(in_sed "$config")/,g" "$1"
}

# put MODE SOURCE PLACE: a file as it is, to a place below PREFIX
put() {
    install -D -m "$1" "$2" "$root$prefix/$3"
    placed+=("$3")
}

# put_text SOURCE PLACE: the same for what names places
put_text() {
    put 644 <(with_places "$1") "$2"
}

# offer SOURCE NAME: configuration, where there is none; and for comparison, always
offer() {
    put_text "$1" "$doc/examples/$2"
    if [ -e "$root$config/$2" ]; then
        printf '  kept  %s\n' "$config/$2"
    else
        install -D -m 644 <(with_places "$1") "$root$config/$2"
        printf '  new   %s\n' "$config/$2"
    fi
}

put_all() {
    local file
    put 755 "$build/invoicegate" bin/invoicegate
    put 755 "$build/invoicegatectl" bin/invoicegatectl
    put 644 src/ctl/invoicegatectl.bash share/bash-completion/completions/invoicegatectl
    for file in src/man/*.[58]; do
        put_text "$file" "share/man/man${file##*.}/${file##*/}"
    done
    for file in sql/*.sql; do # byte by byte: the database knows their digests
        put 644 "$file" "share/invoicegate/$file"
    done
    put_text nginx/invoicegate-http.conf share/invoicegate/nginx/invoicegate-http.conf
    put_text nginx/invoicegate-server.conf share/invoicegate/nginx/invoicegate-server.conf
    put_text nginx/invoicegate-admin.conf share/invoicegate/nginx/invoicegate-admin.conf
    put_text systemd/prometheus-alerts.yml share/invoicegate/prometheus-alerts.yml
    put_text sql/grafana/invoicegate.json share/invoicegate/grafana/invoicegate.json
    put_text systemd/invoicegate@.service lib/systemd/system/invoicegate@.service
    put_text systemd/invoicegate.sysusers.conf lib/sysusers.d/invoicegate.conf
    put_text systemd/invoicegate.tmpfiles.conf lib/tmpfiles.d/invoicegate.conf
    put_text nginx/invoicegate.conf "$doc/examples/nginx-site.conf"
    put 644 README.md "$doc/README.md"
    put 644 LICENSE "$doc/LICENSE"
    offer systemd/invoicegate.env.example invoicegate.env
    offer nginx/invoicegate-workers.conf nginx-workers.conf
}

# Removes the files that standard input names.
remove_listed() {
    local place
    while read -r place; do
        rm -f "$root$prefix/$place"
    done
}

install_all() {
    local old
    old=$(cat "$root$prefix/$manifest" 2>/dev/null || true)
    put_all
    install -D -m 644 <(printf '%s\n' "${placed[@]}" "$manifest" | sort -u) "$root$prefix/$manifest"
    comm -23 <(sort <<<"$old") "$root$prefix/$manifest" | sed '/^$/d' | remove_listed
    echo "  done  what comes next: \"Install it\" in $prefix/$doc/README.md"
}

uninstall_all() {
    local directory
    if [ ! -e "$root$prefix/$manifest" ]; then
        echo "uninstall: nothing is installed below $root$prefix" >&2
        exit 1
    fi
    remove_listed < <(cat "$root$prefix/$manifest")
    for directory in "${own[@]}"; do
        rmdir --ignore-fail-on-non-empty "$root$prefix/$directory"
    done
    [ ! -d "$root$config" ] || echo "  kept  $config, and what is in /etc/credstore and in the database"
}

umask 022
export LC_ALL=C
case ${1:-} in
    install) install_all ;;
    uninstall) uninstall_all ;;
    *)
        echo 'usage: install.sh install|uninstall (through make)' >&2
        exit 2
        ;;
esac
