"""One run: configuration → data → flow → fit → evaluation → result, in a folder of its own."""
