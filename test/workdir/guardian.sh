# Waits until the test is done, or its process has closed our input, as it does when it
# ends however that happens. Then ends what works in $WORKDIR, or was started for
# something in it.
read -r word
[ "$word" = done ] && exit 0
round=0
while [ $round -lt 50 ]; do
	round=$((round + 1))
	found=$(
		find /proc -maxdepth 2 -path '/proc/[0-9]*/cwd' \( -lname "$WORKDIR" -o -lname "$WORKDIR/*" \) 2>/dev/null
		grep -l -a -s -F "$WORKDIR/" /proc/[0-9]*/cmdline
	)
	ended=
	for file in $found; do
		pid=${file#/proc/}
		pid=${pid%%/*}
		[ -e "/proc/$pid/exe" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" != grep ] && kill -9 "$pid" 2>/dev/null && ended=yes
	done
	[ -n "$ended" ] || break
	sleep 0.1
done
rm -rf --one-file-system "$WORKDIR"
