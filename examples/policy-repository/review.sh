#!/bin/sh
# What a build server does for a change of the policy, against the revision that it is to be merged into:
#   ./review.sh origin/main
# It leaves review.md (for the pull request), review.html (for people who would rather look) and policy-tests.xml (JUnit), and
# fails where the change lets something pass that was stopped on record, blanks less, or loses a test.
set -eu
base=${1:?give the revision to compare with, such as origin/main}
cd "$(dirname "$0")"

# The report is written whatever is wrong: whoever reviews wants to see it all.
failed=0
sallyport policy check --dir policies || failed=1
sallyport policy test --dir policies --junit policy-tests.xml || failed=1
sallyport policy diff "$base" --dir policies --log log/decisions.jsonl.gz --keys log/keys.json \
  --markdown review.md --html review.html \
  --fail-on 'deny->allow,deny->rotate,mask-lost,case-lost,test-lost' || failed=1
exit "$failed"
