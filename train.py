"""Train a normalizing flow: `python train.py model=maf data=gas` (`--help` lists every choice)."""

from flowbench.training.main import main

if __name__ == "__main__":
    main()
