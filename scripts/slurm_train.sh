#!/usr/bin/env bash
# One training on Slurm, over as many nodes as are asked for, one task per device:
#   sbatch --nodes=2 --ntasks-per-node=4 --gpus-per-node=4 scripts/slurm_train.sh model=maf data=gas
# Two minutes before its time limit, or when it is pre-empted, it saves; then it is requeued, and
# goes on where it stood.
#SBATCH --job-name=flowbench
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR1@120
set -uo pipefail
saved=75  # the exit code of a run that was told to stop, on all tasks

options=("trainer.num_nodes=$SLURM_JOB_NUM_NODES")
tasks=${SLURM_NTASKS_PER_NODE:-1}
if [ $((SLURM_JOB_NUM_NODES * tasks)) -gt 1 ]; then
  options=(trainer=ddp "${options[@]}" "trainer.devices=$tasks")
else
  options=()
fi

# Where one task refuses (another process holds the run folder, say), the others would wait for it.
srun --kill-on-bad-exit=1 --export=ALL "${PYTHON:-python}" train.py "${options[@]}" "$@"
code=$?
state=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T)
if [[ $code == "$saved" && $state == RUNNING ]]; then  # and not cancelled
  scontrol requeue "$SLURM_JOB_ID"
  sleep 60  # until Slurm ends this attempt; an exit of ours would count as the job's failure
fi
exit "$code"
