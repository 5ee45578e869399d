"""Train a normalizing flow: `python train.py model=maf data=gas` (`--help` lists every choice)."""

from flowbench.run.main import main

if __name__ == "__main__":
    main()
