#!/usr/bin/env bash
# What is timed at paper size on one GPU: a guided step of gesco and pictures of gesco_fast, then a training step.
#
#   bash results/performance/on_a_gpu.sh OUT                               # 80 GB of memory; 10 minutes each, compiling
#   SIZE=small DEVICE=cpu bash results/performance/on_a_gpu.sh /tmp/out    # the same, rehearsed anywhere
#
# A part whose JSON file is in OUT already is not measured again, so the same command goes on after an interruption.
set -euo pipefail
out=${1:?name the folder of the results}
size=${SIZE:-paper} device=${DEVICE:-cuda}
for part in sampling training; do
  if ! compgen -G "$out/$part-$size-*.json" > /dev/null; then
    bench speed "$part" --size "$size" --device "$device" --out "$out"
  fi
done
