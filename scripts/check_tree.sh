#!/usr/bin/env bash
# Fails on what does not belong into a repository that everyone clones: paths of one machine, hosts
# of package registries, large files, a history that grew too big, goldens that are not the ones of
# the manifest.
set -euo pipefail
cd "$(dirname "$0")/.."

largest_kib=6144 clone_mib=64
status=0
complain() {
    echo "$*"
    status=1
}

# The brackets keep this file from finding itself.
paths='(^|[^A-Za-z0-9_.])/(wor[k]|tm[p]|roo[t]|hom[e])/[A-Za-z0-9_.]|\.librar[y]/'
hosts='pypi[.]org|pythonhosted[.]org|deb[.]debian[.]org|(archive|security)[.]ubuntu[.]com|registry[.]npmjs'
if git grep -nIE "$paths" -- ':!LICENSE'; then
    complain "tree: the lines above name a path of one machine"
fi
if git grep -nIE "$hosts"; then
    complain "tree: the lines above name a package registry"
fi

while read -r kib path; do
    [ "$kib" -le $largest_kib ] || complain "tree: $path has $kib KiB, at most $largest_kib"
done < <(git ls-files -z | xargs -0 stat -c '%s %n' | awk '{ n = int($1 / 1024); $1 = n; print }')

bytes=$(git rev-list --objects HEAD | cut -d ' ' -f 1 |
    git cat-file --batch-check='%(objectsize:disk)' | awk '{ n += $1 } END { print n }')
mib=$((bytes / 1048576))
[ $mib -le $clone_mib ] || complain "tree: a clone moves $mib MiB, at most $clone_mib"

python3 tests/golden/check_manifest.py || status=1
echo "tree: $(git ls-files | wc -l) files, a clone moves $mib MiB"
exit $status
