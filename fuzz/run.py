#!/usr/bin/python3
"""Runs each fuzz target for so many seconds, two at a time: run.py BUILD SECONDS. Findings stay in BUILD."""
import concurrent.futures
import glob
import os
import subprocess
import sys


def run(target):
    name = os.path.basename(target)
    corpus = os.path.join(build, 'corpus', name)
    os.makedirs(corpus, exist_ok=True)
    done = subprocess.run([target, '-max_total_time=' + seconds, '-timeout=20', '-rss_limit_mb=2048',
                           '-artifact_prefix=%s/%s-' % (build, name), corpus], capture_output=True, text=True, errors='replace')
    runs = [line for line in done.stderr.split('\n') if line.startswith('Done ')]
    print('%-24s %s' % (name, runs[0] if done.returncode == 0 and runs else 'A FINDING\n' + done.stderr[-3000:]), flush=True)
    return done.returncode


build, seconds = sys.argv[1:]
with concurrent.futures.ThreadPoolExecutor(2) as pool:
    sys.exit(any(list(pool.map(run, sorted(glob.glob(build + '/fuzz/*_fuzz'))))))
