"""Flows as estimators of scikit-learn."""

from flowbench.sklearn.conditional import ConditionalFlowDensity
from flowbench.sklearn.density import FlowDensity
from flowbench.sklearn.outliers import FlowOutlierDetector

__all__ = ["ConditionalFlowDensity", "FlowDensity", "FlowOutlierDetector"]
